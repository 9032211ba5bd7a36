# SPDX-License-Identifier: Apache-2.0
"""How results look: text for people, JSON for programs, Markdown for pull requests. No I/O."""
