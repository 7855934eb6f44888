// Placeholder until the tests of this folder are written.
