package projections

// BeforeCheckpoint is called between the rows of a batch and its checkpoint.
func (r *Runner) BeforeCheckpoint(f func()) { r.beforeCheckpoint = f }
