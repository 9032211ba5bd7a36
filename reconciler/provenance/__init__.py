# SPDX-License-Identifier: Apache-2.0
"""What an artifact was built from: the statement that a gateway signs, and the chain that an auditor follows back."""
