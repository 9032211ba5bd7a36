# SPDX-License-Identifier: Apache-2.0
"""The pack's meaning in executable form: slow, plain, exact. Devices run the C engine instead."""
