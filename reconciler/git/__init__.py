# SPDX-License-Identifier: Apache-2.0
"""The fleet repository: fetch, verify, read, and write status refs.

`Source` is what the engine talks to: `poll` returns what there is to enforce, as a value, and `tree` reads it.
`Mirror` fetches, `Policy` says who may sign, `CommitTree` reads files without a work tree, `LocalWatch` wakes the
engine, `StatusRef` writes the outcome back. docs/git.md is the operator's page.
"""
