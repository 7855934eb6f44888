// Filled by the tests of Runtime.
