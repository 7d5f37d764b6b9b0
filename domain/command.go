package domain

// Command asks one aggregate to change. It is a plain struct with JSON tags, in the imperative.
type Command interface {
	// CommandName is the stable name, such as "order.place".
	CommandName() string
	// StreamID is the aggregate that is asked. Its ID may be empty only for a [Creator].
	StreamID() StreamID
	// Validate checks the command's own fields, without any state. It returns nil or an [*InvalidCommandError] that lists
	// every field that is wrong.
	Validate() error
}

// Creator is a command that starts a new aggregate. Where the caller left its id empty, the engine generates one.
type Creator interface {
	Command
	// WithID returns a copy of the command that addresses the aggregate id.
	WithID(id string) Command
}
