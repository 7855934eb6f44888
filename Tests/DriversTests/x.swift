// Filled by the tests of Drivers.
