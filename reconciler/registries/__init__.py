# SPDX-License-Identifier: Apache-2.0
"""Registries of models, read over HTTP: MLflow, the Hugging Face Hub, OCI; and pointers of Git LFS and DVC."""
