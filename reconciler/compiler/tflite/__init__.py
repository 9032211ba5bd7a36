# SPDX-License-Identifier: Apache-2.0
"""From `.keras`, SavedModel and `.tflite` to a network pack."""
