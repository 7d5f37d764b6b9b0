package chaos

import (
	"context"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/Shopify/toxiproxy/v2"
	"github.com/rs/zerolog"
)

// proxies are what all connections of a run go through.
type proxies struct {
	t      testing.TB
	server *toxiproxy.ApiServer // for its registries only; it does not listen
}

func newProxies(t testing.TB) *proxies {
	return &proxies{t: t, server: toxiproxy.NewServer(toxiproxy.NewMetricsContainer(nil), zerolog.Nop())}
}

// to returns a proxy on loopback to a TCP address, until the test ends.
func (p *proxies) to(name, upstream string) *proxy {
	p.t.Helper()
	made := &proxy{proxies: p, name: name, address: "127.0.0.1:0", upstream: upstream}
	if err := made.renew(""); err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() { made.current.Stop() })
	return made
}

// proxy is one that can be made to harm the connections through it. It keeps its address.
//
// Toxiproxy is made anew for each harm, and again to mend it, which resets the connections that there were: to change it under way
// would wait for data that nobody reads, such as those of a process that is paused.
type proxy struct {
	*proxies
	name, address, upstream string
	current                 *toxiproxy.Proxy
}

// renew resets all connections. New ones suffer from a toxic, if one is given, as JSON.
func (p *proxy) renew(toxic string) (err error) {
	if p.current != nil {
		p.current.Stop()
	}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	for {
		p.current = toxiproxy.NewProxy(p.server, p.name, p.address, p.upstream)
		if toxic != "" {
			if _, err := p.current.Toxics.AddToxicJson(strings.NewReader(toxic)); err != nil {
				return fmt.Errorf("%s: %w", toxic, err)
			}
		}
		if err = p.current.Start(); err == nil {
			p.address = p.current.Listen
			return nil
		}
		// Somebody else may have been given the port meanwhile, for a connection that will not last.
		if wait(ctx, 20*time.Millisecond); ctx.Err() != nil {
			return err
		}
	}
}

// Ways to harm connections.
var harms = map[string]string{
	"latency":    `{"type":"latency","stream":%q,"toxicity":1,"attributes":{"latency":%d,"jitter":50}}`,
	"reset_peer": `{"type":"reset_peer","stream":%q,"toxicity":1,"attributes":{"timeout":%d}}`,                               // after the first bytes
	"limit_data": `{"type":"limit_data","stream":%q,"toxicity":1,"attributes":{"bytes":%d}}`,                                 // it ends in the midst of something
	"slicer":     `{"type":"slicer","stream":%q,"toxicity":1,"attributes":{"average_size":7,"size_variation":3,"delay":%d}}`, // in tiny pieces
	"timeout":    `{"type":"timeout","stream":%q,"toxicity":1,"attributes":{"timeout":%d}}`,                                  // nothing gets through, then it ends
}

// harm harms one direction ("upstream" or "downstream") of connections, until the function that it returns is called.
func (p *proxy) harm(how, stream string, amount int) (mend func() error, err error) {
	return p.mend, p.renew(fmt.Sprintf(harms[how], stream, amount))
}

// cut ends all connections and refuses new ones, until the function that it returns is called.
func (p *proxy) cut() (mend func() error) {
	p.current.Stop()
	return p.mend
}

func (p *proxy) mend() error { return p.renew("") }

// bridge leads from a TCP address to a Unix socket, because toxiproxy dials TCP only and PostgreSQL listens on a socket only.
func bridge(t testing.TB, socket string) (address string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	t.Cleanup(func() { listener.Close() })
	all.Go(func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			all.Go(func() { join(client, socket) })
		}
	})
	return listener.Addr().String()
}

// join ends both connections as soon as one of them ends.
func join(client net.Conn, socket string) {
	defer client.Close()
	server, err := net.Dial("unix", socket)
	if err != nil {
		return // it is stopped
	}
	defer server.Close()
	done := make(chan struct{}, 2)
	for _, pair := range [][2]net.Conn{{client, server}, {server, client}} {
		go func() {
			_, _ = io.Copy(pair[0], pair[1])
			done <- struct{}{}
		}()
	}
	<-done
}
