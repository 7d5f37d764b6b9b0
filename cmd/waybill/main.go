// Command waybill runs and inspects the order engine: `waybill help` lists what it can do.
package main

import (
	"context"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"syscall"
	"time"
)

func main() {
	// A reader that went away is an error like any other, so that the embedded database is stopped in good order.
	signal.Ignore(syscall.SIGPIPE)

	// The first signal asks for an orderly stop. After it, the next one has its usual effect and ends the program at once.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)

	// Nearly all that is allocated here lives for one command or one delivery, beside a small heap that stays. To collect less often costs
	// some memory, and saves a sixth of the processor time of appending and delivering. The ballast, which is never touched and so takes no
	// memory, makes the collector see a heap of some size where there is hardly any; else it would come twenty times a second.
	var ballast []byte
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(240)
		ballast = make([]byte, 16<<20)
	}

	status := run(ctx, os.Args[1:], environment{
		stdin:  os.Stdin,
		stdout: os.Stdout,
		stderr: os.Stderr,
		getenv: os.Getenv,
		now:    time.Now,
		dir:    ".",
	})
	runtime.KeepAlive(ballast)
	os.Exit(status)
}
