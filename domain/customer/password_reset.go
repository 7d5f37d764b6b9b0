package customer

import (
	"fmt"
	"time"

	"github.com/looplab/fsm"

	"github.com/waybill-dev/waybill/domain"
	"github.com/waybill-dev/waybill/domain/internal/check"
)

// PasswordResetName is the password reset aggregate's name, the first half of its stream names.
const PasswordResetName = "customer_password_reset"

// Statuses of a password reset.
const (
	PasswordResetRequested = "requested"
	PasswordResetDestroyed = "destroyed"
)

// PasswordResetMachine is the status of a password reset: asked for, or over.
var PasswordResetMachine = &domain.Machine{
	Name:    PasswordResetName,
	Initial: PasswordResetRequested,
	Final:   []string{PasswordResetDestroyed},
	Moves:   fsm.Events{{Name: "destroy", Src: []string{PasswordResetRequested}, Dst: PasswordResetDestroyed}},
}

var passwordResetAggregate = domain.Define(PasswordResetName, []*domain.Machine{PasswordResetMachine}, passwordResetCodec, DecidePasswordReset, EvolvePasswordReset)

// PasswordResetAggregate is what the engine needs to run password resets. It is the same every time, and nothing may change it.
func PasswordResetAggregate() *domain.Aggregate { return passwordResetAggregate }

// PasswordReset is the folded state of one password reset: a value that [EvolvePasswordReset] never changes. Times are UTC.
type PasswordReset struct {
	ID          string    `json:"id"` // empty while nothing has happened
	Status      string    `json:"status"`
	CustomerID  string    `json:"customerId" personal:"subject"`
	Person      Person    `json:"person"`
	CreatedAt   time.Time `json:"createdAt"`
	UpdatedAt   time.Time `json:"updatedAt"`
	DestroyedAt time.Time `json:"destroyedAt,omitzero"`
}

type (
	// CreatePasswordReset tells that a customer asked for a new password.
	CreatePasswordReset struct {
		PasswordResetID string `json:"passwordResetId"` // generated where it is empty
		CustomerID      string `json:"customerId"`
		Person          Person `json:"person"` // with an email at least
	}
	// DestroyPasswordReset ends it: it was used, or its time is over. Its id stays used.
	DestroyPasswordReset struct {
		PasswordResetID string `json:"passwordResetId"`
	}
)

// WithID addresses the password reset that CreatePasswordReset starts.
func (c CreatePasswordReset) WithID(id string) domain.Command { c.PasswordResetID = id; return c }

func (CreatePasswordReset) CommandName() string  { return "customer_password_reset.create" }
func (DestroyPasswordReset) CommandName() string { return "customer_password_reset.destroy" }

func (c CreatePasswordReset) StreamID() domain.StreamID {
	return domain.StreamID{Aggregate: PasswordResetName, ID: c.PasswordResetID}
}
func (c DestroyPasswordReset) StreamID() domain.StreamID {
	return domain.StreamID{Aggregate: PasswordResetName, ID: c.PasswordResetID}
}

// PasswordResetCommands returns a zero value of every command of a password reset.
func PasswordResetCommands() []domain.Command {
	return []domain.Command{CreatePasswordReset{}, DestroyPasswordReset{}}
}

// Validate implements [domain.Command]. An empty id is right: the engine then generates one.
func (c CreatePasswordReset) Validate() error {
	v := check.Fields{}
	if c.PasswordResetID != "" {
		v.ID("passwordResetId", c.PasswordResetID)
	}
	v.ID("customerId", c.CustomerID)
	c.Person.check(&v, "person")
	return v.Err(c)
}

func (c DestroyPasswordReset) Validate() error {
	v := check.Fields{}
	v.ID("passwordResetId", c.PasswordResetID)
	return v.Err(c)
}

type (
	// PasswordResetCreated is the first event of every password reset.
	PasswordResetCreated struct {
		PasswordResetID string `json:"passwordResetId"`
		CustomerID      string `json:"customerId"`
		Person          Person `json:"person"`
	}
	PasswordResetEnded struct{}
)

func (PasswordResetCreated) EventType() string { return "customer_password_reset.created" }
func (PasswordResetEnded) EventType() string   { return "customer_password_reset.destroyed" }

var passwordResetCodec = domain.NewCodec(
	domain.EventOf[PasswordResetCreated]("A customer asked for a new password."),
	domain.EventOf[PasswordResetEnded]("The password reset is over: it was used, or its time ran out."),
)

// DecidePasswordReset answers as [Decide] does, for password resets.
func DecidePasswordReset(r PasswordReset, command domain.Command) ([]domain.Event, error) {
	refuse := func(reason string) ([]domain.Event, error) {
		return nil, PasswordResetMachine.Refuse(command.CommandName(), "password reset "+r.ID, r.Status, reason)
	}
	if c, ok := command.(CreatePasswordReset); ok {
		if r.ID != "" {
			return refuse("its id is taken")
		}
		if c.PasswordResetID == "" {
			return nil, domain.MissingID(command, "passwordResetId")
		}
		return []domain.Event{PasswordResetCreated(c)}, nil
	}
	if r.ID == "" || r.Status == PasswordResetDestroyed {
		return nil, &domain.NotFoundError{Kind: "password reset", ID: command.StreamID().ID}
	}
	if _, ok := command.(DestroyPasswordReset); ok {
		if _, ok := PasswordResetMachine.Fire(r.Status, "destroy"); !ok {
			return refuse("")
		}
		return []domain.Event{PasswordResetEnded{}}, nil
	}
	return nil, fmt.Errorf("customer: %T is not a command of a password reset", command)
}

// EvolvePasswordReset returns the password reset after an event, as [Evolve] does.
func EvolvePasswordReset(r PasswordReset, event domain.Event, at time.Time) PasswordReset {
	at = at.UTC()
	switch e := event.(type) {
	case PasswordResetCreated:
		return PasswordReset{
			ID: e.PasswordResetID, Status: PasswordResetRequested, CustomerID: e.CustomerID, Person: e.Person, CreatedAt: at, UpdatedAt: at,
		}
	case PasswordResetEnded:
		r.Status, r.UpdatedAt, r.DestroyedAt = PasswordResetDestroyed, at, at
		return r
	}
	panic(fmt.Sprintf("customer: %T is not an event of a password reset", event))
}
