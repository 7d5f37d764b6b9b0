package main

import (
	"context"
	"errors"

	"github.com/waybill-dev/waybill/domain"
	"github.com/waybill-dev/waybill/domain/order"
	"github.com/waybill-dev/waybill/eventstore"
	"github.com/waybill-dev/waybill/outbox"
	"github.com/waybill-dev/waybill/outbox/profile"
	"github.com/waybill-dev/waybill/outbox/webhook"
)

// webhooks keeps the subscriptions.
func (s *session) webhooks() (*webhook.Store, error) {
	sealer, err := webhook.NewSealer(s.config.MasterKey)
	if err != nil {
		return nil, err
	}
	return webhook.NewStore(webhook.Config{
		DB:        s.DB,
		Sealer:    sealer,
		Profiles:  profile.NewSet(profile.Native(map[string]*domain.Aggregate{order.Name: order.Aggregate()})),
		AllowHTTP: true,
		Clock:     s.config.Now,
	})
}

// relay delivers events to the webhooks of every workspace.
func (s *session) relay() (relayRunner, error) {
	sealer, err := webhook.NewSealer(s.config.MasterKey)
	if err != nil {
		return nil, err
	}
	return outbox.New(outbox.Config{
		DB:           s.DB,
		Aggregates:   map[string]*domain.Aggregate{order.Name: order.Aggregate()},
		History:      eventstore.New(s.DB).StreamsAt,
		Sealer:       sealer,
		Logger:       s.config.Logger,
		AllowTargets: s.config.AllowTargets,
	})
}

// relayRunner delivers until its context ends.
type relayRunner interface{ Run(context.Context) error }

// whileRelaying runs a relay beside some work. Should the relay fail, the work's context ends. It returns once the relay has stopped,
// with everything under way recorded.
func (s *session) whileRelaying(ctx context.Context, work func(context.Context) error) error {
	relay, err := s.relay()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stopped := make(chan error, 1)
	go func() {
		defer cancel()
		stopped <- relay.Run(ctx)
	}()
	err = work(ctx)
	cancel()
	if failure := ignoreCancelled(<-stopped); failure != nil {
		return failure
	}
	return err
}

// ignoreCancelled leaves out the error of a stop that was asked for.
func ignoreCancelled(err error) error {
	if errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}
