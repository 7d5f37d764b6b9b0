package waybill

// NewWithWatch returns an engine with a watch of the test's own, which tells how old keys in memory are.
var NewWithWatch = newEngine
