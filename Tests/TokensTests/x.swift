// Placeholder until the tests of this target stand here.
