package main

import (
	"context"
	"errors"
)

// whileRelaying runs a relay beside some work. Should the relay fail, the work's context ends. It returns once the relay has stopped,
// with everything under way recorded.
func (s *session) whileRelaying(ctx context.Context, work func(context.Context) error) error {
	relay, err := s.engine.Relay()
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
