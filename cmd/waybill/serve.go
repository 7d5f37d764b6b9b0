package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/spf13/cobra"

	"github.com/waybill-dev/waybill/httpapi"
	"github.com/waybill-dev/waybill/httpapi/token"
	"github.com/waybill-dev/waybill/migrations"
)

const defaultAddr = "127.0.0.1:8080"

func (p *program) serveCommand() *cobra.Command {
	var noRelay, noHTTP, noProjections bool
	c := &cobra.Command{
		Use:   "serve",
		Short: "Run the relay, the projections and the HTTP API until Ctrl-C",
		Long: `Run the relay, which delivers events to webhooks, the projections, which keep the views of the log
up to date, and the HTTP API, on $WAYBILL_ADDR (default ` + defaultAddr + `). Any number of
processes may serve the same database.

Whoever calls the API needs a token, which ` + "`waybill token create`" + ` makes. Each request is a line
on stderr.`,
		Args: noWords,
		RunE: func(c *cobra.Command, _ []string) error {
			if noRelay && noHTTP && noProjections {
				return usagef("leave one of them out", "with --no-relay, --no-projections and --no-http there is nothing to serve")
			}
			return p.serve(c.Context(), !noRelay, !noProjections, !noHTTP)
		},
	}
	c.Flags().BoolVar(&noRelay, "no-relay", false, "do not deliver to webhooks")
	c.Flags().BoolVar(&noProjections, "no-projections", false, "do not keep views up to date")
	c.Flags().BoolVar(&noHTTP, "no-http", false, "do not serve HTTP")
	return c
}

func (p *program) relayCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "relay",
		Short: "Deliver events to webhooks until Ctrl-C",
		Args:  noWords,
		RunE:  func(c *cobra.Command, _ []string) error { return p.serve(c.Context(), true, false, false) },
	}
}

// serve runs what it is told to until ctx ends, which is its ordinary end, or until one of them fails.
func (p *program) serve(ctx context.Context, relay, views, web bool) error {
	need := withoutSecrets
	if relay || web {
		need = withSecrets
	}
	var listener net.Listener
	if web {
		var err error
		if listener, err = p.listen(ctx); err != nil {
			return err
		}
		defer listener.Close()
	}
	err := p.use(ctx, need, func(s *session) error {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		var parts []func(context.Context) error
		if relay {
			r, err := s.engine.Relay()
			if err != nil {
				return err
			}
			parts = append(parts, r.Run)
		}
		if views {
			parts = append(parts, s.engine.Projections().Run)
		}
		if web {
			server, err := p.api(s)
			if err != nil {
				return err
			}
			parts = append(parts, func(ctx context.Context) error { return serveHTTP(ctx, listener, server) })
		}
		if err := p.announce(ctx, s, relay, views, listener); err != nil {
			return err
		}
		ended := make(chan error, len(parts))
		for _, part := range parts {
			go func() {
				defer cancel() // one part does not go on without the other
				ended <- part(ctx)
			}()
		}
		var errs []error
		for range parts {
			errs = append(errs, ignoreCancelled(<-ended))
		}
		return errors.Join(errs...)
	})
	if ctx.Err() != nil && errors.Is(err, context.Canceled) {
		err = nil // stopped while it was still starting
	}
	if err == nil && !p.json() {
		p.printf("stopped\n")
	}
	return err
}

// listen opens the address first of all: where it is taken, nothing needs to be started.
func (p *program) listen(ctx context.Context) (net.Listener, error) {
	addr := orElse(p.getenv("WAYBILL_ADDR"), defaultAddr)
	if _, _, err := net.SplitHostPort(addr); err != nil {
		return nil, usagef("want host:port, such as "+defaultAddr, "WAYBILL_ADDR: %.80q is not an address", addr)
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("listen on %s (WAYBILL_ADDR chooses another address): %w", addr, err)
	}
	return listener, nil
}

// api is the server of the HTTP API.
func (p *program) api(s *session) (*http.Server, error) {
	log := p.loggerFrom(slog.LevelInfo)
	handler, err := httpapi.New(httpapi.Config{
		Engine:    s.engine,
		DB:        s.DB,
		Ready:     func(ctx context.Context) error { return migrations.Check(ctx, s.DB) },
		Metrics:   s.metrics,
		MasterKey: s.masterKey,
		Now:       p.now,
		Logger:    log,
	})
	if err != nil {
		return nil, err
	}
	return httpapi.Server(handler, log), nil
}

func (p *program) announce(ctx context.Context, s *session, relay, views bool, listener net.Listener) error {
	url := ""
	if listener != nil {
		url = "http://" + listener.Addr().String()
	}
	if p.json() {
		return p.printJSON(struct {
			Database    string `json:"database"`
			DatabaseURL string `json:"databaseUrl,omitempty"`
			Relay       bool   `json:"relay"`
			Projections bool   `json:"projections"`
			HTTP        string `json:"http,omitempty"`
		}{s.describe(), s.embeddedURL(), relay, views, url})
	}
	p.printf("%s\n\n", p.style.bold("Waybill"))
	var t table
	t.add(p.style.dim("database"), s.describe())
	if address := s.embeddedURL(); address != "" {
		t.add("", address)
	}
	if relay {
		t.add(p.style.dim("relay"), "delivering to the webhooks of every workspace")
	}
	if views {
		t.add(p.style.dim("projections"), "keeping the views of every workspace up to date")
	}
	if url != "" {
		t.add(p.style.dim("http"), url+"/v1  /openapi.json  /healthz  /readyz  /metrics")
		any, err := token.NewStore(s.DB, p.now).Any(ctx)
		if err != nil {
			return err
		}
		if !any {
			t.add(p.style.dim("token"), "there is none yet: `waybill token create --scope write` makes one")
		}
	}
	t.add(p.style.dim("stop"), "Ctrl-C")
	t.write(p.stdout, "  ")
	return nil
}

// serveHTTP serves until ctx ends, and then lets the requests under way finish.
func serveHTTP(ctx context.Context, listener net.Listener, server *http.Server) error {
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	select {
	case err := <-served:
		return err
	case <-ctx.Done():
	}
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	return server.Shutdown(grace)
}
