# SPDX-License-Identifier: Apache-2.0
"""Routes inputs through the devices of a pipeline, and keeps answering while one of them does not."""
