# SPDX-License-Identifier: Apache-2.0
"""How results are shown: text for people, JSON for programs, Markdown for pull requests."""
