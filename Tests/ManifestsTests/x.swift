// Filled by the tests of Manifests.
