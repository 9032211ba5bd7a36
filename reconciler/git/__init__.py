# SPDX-License-Identifier: Apache-2.0
"""The fleet repository as a source: fetch, verify and read commits, and publish status branches.

The engine uses `CommitSource`: `poll` returns the commit to enforce as a value, and `tree` reads its files.
`Mirror` fetches, `SignaturePolicy` states who may sign, `CommitTree` reads files without a work tree,
`LocalWatch` wakes the engine, and `StatusWriter` publishes the outcome. docs/git.md is for operators.
"""
