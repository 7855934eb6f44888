// Filled by the tests of API.
