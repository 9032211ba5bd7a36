# SPDX-License-Identifier: Apache-2.0
"""Model registries, read over HTTP: MLflow, the Hugging Face Hub and OCI registries; and pointers of Git LFS and DVC."""
