# SPDX-License-Identifier: Apache-2.0
"""The demo that `make demo` runs, and the parts that tests and benches share with it."""
