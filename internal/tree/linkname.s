// This file is empty: with it in the package, the compiler allows functions
// without a body, those that compress.go takes from elsewhere by go:linkname.
