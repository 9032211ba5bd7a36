# SPDX-License-Identifier: Apache-2.0
"""Functions: WebAssembly modules in one caged process of a gateway (docs/adr/0123)."""
