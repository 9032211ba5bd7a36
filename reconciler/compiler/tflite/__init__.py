# SPDX-License-Identifier: Apache-2.0
"""From `.keras` files, SavedModels and `.tflite` files to the packs of neural networks."""
