package main

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/waybill-dev/waybill"
	"github.com/waybill-dev/waybill/domain"
	"github.com/waybill-dev/waybill/domain/order"
	"github.com/waybill-dev/waybill/eventstore"
	"github.com/waybill-dev/waybill/eventstore/audit"
)

func (p *program) auditCommand() *cobra.Command {
	return family("audit", "Prove that history was not altered",
		p.auditVerifyCommand(), p.auditSealCommand(), p.auditExportCommand(), p.auditKeyCommand())
}

func (p *program) auditVerifyCommand() *cobra.Command {
	var bundle, witness string
	var publicKeys []string
	workers := audit.DefaultWorkers
	c := &cobra.Command{
		Use:   "verify [ID]",
		Short: "Check hash chains and seals: of the whole log, of one order, or of a bundle",
		Long: `Check the hash chains of every stream, and every seal against the log; or the chain of one order;
or a bundle that ` + "`audit export`" + ` wrote, for which no database is needed. What does not fit is named,
and the exit status is 1.

With --workspace only that workspace's chains are checked; seals are always about the whole log.

Seals are held against the public key that is given: with --public-key, in
$WAYBILL_SEAL_PUBLIC_KEY, or by $WAYBILL_SEAL_KEY. Without one, against the key that they name
themselves, which whoever can write to the database could have replaced.`,
		Example: `  waybill audit verify
  waybill audit verify ord_1
  waybill audit verify --public-key seal.pub --witness seals.jsonl
  waybill audit verify --bundle 2026.jsonl.gz --public-key 6kpsY+KcUgq+9VB7Ey7F+ZVHdq6+vnuSQh7qaRRG0iw=`,
		Args: cobra.ArbitraryArgs,
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) > 1 {
				return words("ID")(c, args)
			}
			if len(args) == 1 && bundle != "" {
				return usagef("leave one of them out", "a bundle is verified as a whole, not one order of it")
			}
			if workers < 1 || workers > maxConnections {
				return usagef(fmt.Sprintf("give a number from 1 to %d", maxConnections), "--workers: %d is not a number of readers", workers)
			}
			o := audit.Options{Workers: workers, Progress: &audit.Progress{}}
			if c.Flags().Changed("workspace") {
				if err := checkWorkspace(p.workspace); err != nil {
					return err
				}
				o.Workspace = p.workspace
			}
			var err error
			if o.Keys, err = p.publicKeys(publicKeys); err != nil {
				return err
			}
			if o.Witness, err = p.readWitness(witness); err != nil {
				return err
			}
			switch {
			case bundle != "":
				return p.verifyBundle(c.Context(), bundle, o)
			case len(args) == 1:
				if err := checkID("an order", args[0]); err != nil {
					return err
				}
				return p.use(c.Context(), withoutSecrets, func(s *session) error { return p.verifyOrder(c.Context(), s.workspace, args[0]) })
			}
			return p.use(c.Context(), withoutSecrets, func(s *session) error {
				stop := p.watch(o.Progress)
				report, err := s.engine.Audit().Verify(c.Context(), o)
				stop()
				return p.printReport(report, err)
			})
		},
	}
	c.Flags().StringVar(&bundle, "bundle", "", "verify this `FILE`, or - for standard input, and no database")
	c.Flags().StringArrayVar(&publicKeys, "public-key", nil, "a `KEY` that seals may be signed with, in base64 or a file with it; can be repeated")
	c.Flags().StringVar(&witness, "witness", "", "every seal that this `FILE` tells of has to be there (see audit seal --witness)")
	c.Flags().IntVar(&workers, "workers", workers, "how many read side by side")
	return c
}

// verifyOrder checks the chain of one order.
func (p *program) verifyOrder(ctx context.Context, ws *waybill.Workspace, id string) error {
	stream := domain.StreamID{Aggregate: order.Name, ID: id}
	report := audit.Report{Streams: 1, Broken: []audit.Broken{}}
	verified, err := ws.VerifyOrder(ctx, id)
	report.Events = int64(verified)
	var chain *eventstore.ChainError
	if errors.As(err, &chain) {
		report.Broken = append(report.Broken, audit.Broken{Workspace: ws.Name(), Stream: stream.String(), Version: chain.Version, Reason: chain.Reason})
		report.BrokenAt, err = 1, nil
	}
	if err != nil {
		return err
	}
	type brief struct {
		Streams int64          `json:"streams"`
		Events  int64          `json:"events"`
		Broken  []audit.Broken `json:"broken"`
	}
	if p.json() {
		err = p.printJSON(brief{report.Streams, report.Events, report.Broken})
	} else {
		p.printChains(report)
	}
	if err == nil && !report.Intact() {
		err = &audit.AlteredError{Report: report}
	}
	return err
}

func (p *program) verifyBundle(ctx context.Context, name string, o audit.Options) error {
	file := io.NopCloser(p.stdin)
	if name != "-" {
		var err error
		if file, err = os.Open(name); err != nil {
			return usagef("give a file that `waybill audit export` wrote", "--bundle: %v", err)
		}
	}
	defer file.Close()
	stop := p.watch(o.Progress)
	report, err := audit.VerifyBundle(ctx, file, o)
	stop()
	return p.printReport(report, err)
}

// printReport shows what was verified. What was found, it returns as an error.
func (p *program) printReport(report audit.Report, err error) error {
	if err != nil {
		return err
	}
	if p.json() {
		err = p.printJSON(report)
	} else {
		p.printChains(report)
		p.printSealing(report)
	}
	if err == nil && !report.Intact() {
		err = &audit.AlteredError{Report: report}
	}
	return err
}

func (p *program) printChains(r audit.Report) {
	for _, b := range r.Broken {
		where := ""
		if b.Workspace != p.workspace {
			where = " of workspace " + clean(b.Workspace)
		}
		p.printf("%s %s%s, version %d: %s\n", p.style.red("broken"), clean(b.Stream), where, b.Version, clean(b.Reason))
	}
	if more := r.BrokenAt - int64(len(r.Broken)); more > 0 {
		p.printf("%s and %d more\n", p.style.red("broken"), more)
	}
	switch {
	case r.BrokenAt > 0:
	case r.Bundle != nil && r.Bundle.Partial:
		p.printf("%s %s of %s: every hash is right; what came before this bundle is not in it\n",
			p.style.green("verified"), counted(int(r.Events), "event"), counted(int(r.Streams), "stream"))
	default:
		p.printf("%s %s of %s: every hash is right, from the first to the last\n",
			p.style.green("verified"), counted(int(r.Events), "event"), counted(int(r.Streams), "stream"))
	}
}

func (p *program) printSealing(r audit.Report) {
	s := r.Seals
	for _, f := range s.Faults {
		p.printf("%s %s\n", p.style.red("altered"), clean(f.String()))
	}
	if more := s.FaultyAt - int64(len(s.Faults)); more > 0 {
		p.printf("%s and %d more\n", p.style.red("altered"), more)
	}
	switch {
	case s.Last == nil && s.FaultyAt == 0:
		p.printf("%s nothing: that a stream was removed, cut off or written anew would not show (`waybill audit seal`)\n", p.style.yellow("sealed  "))
		return
	case s.Last == nil:
		return
	case s.FaultyAt == 0:
		p.printf("%s %s by %s, up to %s of %s UTC: nothing was removed, added or written anew\n", p.style.green("sealed  "),
			counted(int(s.Sealed), "event"), counted(int(s.Number), "seal"), s.Last.Hash[:12]+"…", when(s.Last.SealedAt))
	}
	if s.Unsealed > 0 {
		p.printf("%s %s behind the last seal: only their chains protect them\n", p.style.yellow("unsealed"), counted(int(s.Unsealed), "event"))
	}
	if !s.Trusted {
		p.printf("%s the seals were held against the key that they name: give the one that you know with --public-key\n", p.style.yellow("warning "))
	}
	if r.Bundle != nil && !r.Bundle.Signed {
		p.printf("%s the end of the bundle is not signed: that it was cut short behind a seal would show with --witness only\n", p.style.yellow("warning "))
	}
}

func (p *program) auditSealCommand() *cobra.Command {
	var keyFile, witness string
	var newKey bool
	var every time.Duration
	c := &cobra.Command{
		Use:   "seal",
		Short: "Sign what the log is by now, so that it shows if it is altered as a whole",
		Long: `Sign a Merkle root over everything that was appended since the last seal and is settled. Appends do not
wait for it. The key is that of --key, or of $WAYBILL_SEAL_KEY; ` + "`waybill audit key`" + ` makes one.
Keep it where the database's administrators have no access.

With --witness a line about each seal is added to a file. Keep that elsewhere too: it shows if seals are
dropped together with what they cover.`,
		Example: `  waybill audit key --out seal.key
  waybill audit seal --key seal.key --witness seals.jsonl
  waybill audit seal --key seal.key --every 1h`,
		Args: noWords,
		RunE: func(c *cobra.Command, _ []string) error {
			if c.Flags().Changed("every") && every < time.Second {
				return usagef("give a duration such as 1h, at least 1s", "--every: %v is not how often to seal", every)
			}
			key, err := p.sealKey(keyFile)
			if err != nil {
				return err
			}
			if key == nil {
				return usagef("make one with `waybill audit key --out FILE`, and name the file with --key or put the key into WAYBILL_SEAL_KEY",
					"there is no key to seal with")
			}
			o := audit.SealOptions{NewKey: newKey, Progress: &audit.Progress{}}
			if witness != "" {
				file, err := os.OpenFile(witness, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
				if err != nil {
					return usagef("give a file that can be written", "--witness: %v", err)
				}
				defer file.Close()
				o.Made = func(s audit.Seal) error { return errors.Join(audit.WriteWitness(file, s), file.Sync()) }
			}
			return p.use(c.Context(), withoutSecrets, func(s *session) error { return p.seal(c.Context(), s, key, o, every) })
		},
	}
	c.Flags().StringVar(&keyFile, "key", "", "the `FILE` with the signing key (default $WAYBILL_SEAL_KEY)")
	c.Flags().BoolVar(&newKey, "new-key", false, "go on with another key than the last seal's")
	c.Flags().StringVar(&witness, "witness", "", "add a line about each new seal to this `FILE`")
	c.Flags().DurationVar(&every, "every", 0, "go on sealing, this often, until Ctrl-C")
	return c
}

// seal seals once, or again and again. What may pass by itself does not end the latter.
func (p *program) seal(ctx context.Context, s *session, key ed25519.PrivateKey, o audit.SealOptions, every time.Duration) error {
	for {
		stop := p.watch(o.Progress)
		seals, events, err := s.engine.Audit().Seal(ctx, key, o)
		stop()
		o.NewKey = false
		var database *waybill.DatabaseError
		switch {
		case every > 0 && ctx.Err() != nil:
			return nil
		case every > 0 && errors.As(err, &database) && database.Retryable():
			p.logger().Warn("sealing failed, and will be tried again", "in", every, "error", err)
		case err != nil:
			return err
		default:
			if err := p.printSealed(ctx, s, seals, events); err != nil {
				return err
			}
		}
		if every == 0 {
			return nil
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(every):
		}
	}
}

func (p *program) printSealed(ctx context.Context, s *session, seals int, events int64) error {
	last, found, err := s.engine.Audit().LastSeal(ctx)
	if err != nil {
		return err
	}
	if p.json() {
		out := struct {
			Seals  int         `json:"seals"`
			Events int64       `json:"events"`
			Last   *audit.Made `json:"last"`
		}{Seals: seals, Events: events}
		if found {
			out.Last = &audit.Made{Number: last.Number, Hash: fmt.Sprintf("%x", last.Hash()), SealedAt: last.SealedAt}
		}
		return p.printJSON(out)
	}
	if seals == 0 {
		p.printf("nothing is new that could be sealed\n")
		return nil
	}
	p.printf("%s %s in %s, up to seal %d: %x\n", p.style.green("sealed"), counted(int(events), "event"), counted(seals, "seal"), last.Number, last.Hash())
	return nil
}

func (p *program) auditKeyCommand() *cobra.Command {
	var out string
	c := &cobra.Command{
		Use:   "key",
		Short: "Make a key to seal with",
		Long: `Make an ed25519 key to seal with. With --out it goes to a file that only its owner can read, and
only the public key is printed, which those who verify need.`,
		Args: noWords,
		RunE: func(_ *cobra.Command, _ []string) error {
			key, err := audit.NewKey()
			if err != nil {
				return err
			}
			public := audit.FormatPublicKey(key.Public().(ed25519.PublicKey))
			secret := audit.FormatKey(key)
			if out != "" {
				file, err := os.OpenFile(out, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
				if err != nil {
					return usagef("give the name of a file that is not there yet", "--out: %v", err)
				}
				_, err = io.WriteString(file, secret+"\n")
				if err := errors.Join(err, file.Sync(), file.Close()); err != nil {
					return fmt.Errorf("write the key: %w", err)
				}
				secret = ""
			}
			if p.json() {
				return p.printJSON(struct {
					Key       string `json:"key,omitempty"`
					File      string `json:"file,omitempty"`
					PublicKey string `json:"publicKey"`
				}{secret, out, public})
			}
			var t table
			if out != "" {
				t.add(p.style.dim("key"), "in "+out+", for `waybill audit seal --key`")
			} else {
				t.add(p.style.dim("key"), secret, p.style.dim("for WAYBILL_SEAL_KEY; whoever has it can seal"))
			}
			if out == "" {
				t.add(p.style.dim("public key"), public, p.style.dim("for `waybill audit verify --public-key`"))
			} else {
				t.add(p.style.dim("public key"), public)
			}
			t.write(p.stdout, "")
			return nil
		},
	}
	c.Flags().StringVar(&out, "out", "", "the `FILE` to put the key into")
	return c
}

func (p *program) auditExportCommand() *cobra.Command {
	var out, from, to, keyFile string
	c := &cobra.Command{
		Use:   "export",
		Short: "Write events and seals into a file that can be verified without the database",
		Long: `Write a bundle: the events of the log, with their seals and the public keys, as gzip'd lines of JSON.
` + "`waybill audit verify --bundle`" + ` checks it. With --workspace the events of other workspaces are there as hashes only,
which is what the seals need. With a key (--key, $WAYBILL_SEAL_KEY) the end of the bundle is signed.`,
		Example: `  waybill audit export --out log.jsonl.gz
  waybill audit export --from 2026-07-01T00:00:00Z --to 2026-07-31 --workspace acme --out acme-july.jsonl.gz`,
		Args: noWords,
		RunE: func(c *cobra.Command, _ []string) (err error) {
			o := audit.ExportOptions{Progress: &audit.Progress{}}
			if o.Key, err = p.sealKey(keyFile); err != nil {
				return err
			}
			if c.Flags().Changed("workspace") {
				o.Workspace = p.workspace
			}
			for _, bound := range []struct {
				flag, text string
				into       *time.Time
			}{{"from", from, &o.From}, {"to", to, &o.To}} {
				if c.Flags().Changed(bound.flag) {
					if *bound.into, err = parseTime(bound.flag, bound.text); err != nil {
						return err
					}
				}
			}
			if day, err := time.Parse(time.DateOnly, from); err == nil {
				o.From = day // where a day begins something, it stands for its beginning
			}
			switch {
			case !o.To.IsZero() && o.To.Before(o.From):
				return usagef("give the earlier time as --from", "--to lies before --from")
			case out == "" && p.terminal:
				return usagef("name a file with --out, or send the output somewhere", "a bundle is nothing for a terminal")
			}
			return p.use(c.Context(), withoutSecrets, func(s *session) error { return p.export(c.Context(), s, out, o) })
		},
	}
	c.Flags().StringVar(&out, "out", "", "the `FILE` to write (default standard output)")
	c.Flags().StringVar(&from, "from", "", "from what was recorded at this `TIME`: whole seals, so there may be more")
	c.Flags().StringVar(&to, "to", "", "up to what was recorded at this `TIME`")
	c.Flags().StringVar(&keyFile, "key", "", "sign the bundle's end with the key in this `FILE` (default $WAYBILL_SEAL_KEY, else it is not signed)")
	return c
}

// export writes a file beside its place and moves it there when it is whole, or writes to stdout.
func (p *program) export(ctx context.Context, s *session, out string, o audit.ExportOptions) error {
	write := func(to io.Writer) (audit.Exported, error) {
		defer p.watch(o.Progress)()
		return s.engine.Audit().Export(ctx, to, o)
	}
	if out == "" {
		_, err := write(p.stdout)
		return err
	}
	file, err := os.CreateTemp(filepath.Dir(out), filepath.Base(out)+".*")
	if err != nil {
		if path, ok := errors.AsType[*fs.PathError](err); ok {
			err = path.Err // and not the name of a file beside the one that was asked for
		}
		return usagef("give a file in a directory that can be written", "--out: %s cannot be written: %v", out, err)
	}
	defer os.Remove(file.Name())
	exported, err := write(file)
	if err = errors.Join(err, file.Sync(), file.Close()); err != nil {
		return err
	}
	if err := os.Rename(file.Name(), out); err != nil {
		return fmt.Errorf("put the bundle in its place: %w", err)
	}
	if p.json() {
		return p.printJSON(exported)
	}
	hashes := ""
	if exported.Leaves > 0 {
		hashes = fmt.Sprintf(", hashes of %d of other workspaces", exported.Leaves)
	}
	signed := ", its end signed"
	if !exported.Signed {
		signed = ""
	}
	p.printf("%s %s%s and %s to %s%s\n", p.style.green("exported"), counted(int(exported.Events), "event"), hashes, counted(int(exported.Seals), "seal"), out, signed)
	return nil
}

// sealKey reads the key to seal with from a file, or else from the environment; nil means that there is none.
func (p *program) sealKey(file string) (ed25519.PrivateKey, error) {
	text, from := p.getenv("WAYBILL_SEAL_KEY"), "WAYBILL_SEAL_KEY"
	if file != "" {
		content, err := os.ReadFile(file)
		if err != nil {
			return nil, usagef("make one with `waybill audit key --out FILE`", "--key: %v", err)
		}
		text, from = string(content), file
	}
	if strings.TrimSpace(text) == "" && file == "" {
		return nil, nil
	}
	key, err := audit.ParseKey(text)
	if err != nil {
		return nil, usagef("make one with `waybill audit key`", "%s: %v", from, err)
	}
	return key, nil
}

// publicKeys reads the keys that are trusted, each given as such or as a file with it; nil means that none is.
func (p *program) publicKeys(given []string) (keys []ed25519.PublicKey, err error) {
	if len(given) == 0 {
		given = strings.Fields(strings.ReplaceAll(p.getenv("WAYBILL_SEAL_PUBLIC_KEY"), ",", " "))
	}
	for _, text := range given {
		key, err := audit.ParsePublicKey(text)
		if err != nil {
			content, unread := os.ReadFile(text)
			if unread != nil {
				return nil, usagef("give what `waybill audit key` printed, or a file with it", "%.60q is neither a public key nor a file", text)
			}
			if key, err = audit.ParsePublicKey(string(content)); err != nil {
				return nil, usagef("give what `waybill audit key` printed, or a file with it", "%s: %v", text, err)
			}
		}
		keys = append(keys, key)
	}
	if len(keys) == 0 {
		own, err := p.sealKey("")
		if err != nil || own == nil {
			return nil, err
		}
		keys = append(keys, own.Public().(ed25519.PublicKey))
	}
	return keys, nil
}

func (p *program) readWitness(name string) ([]audit.Witnessed, error) {
	if name == "" {
		return nil, nil
	}
	file, err := os.Open(name)
	if err != nil {
		return nil, usagef("give the file that `waybill audit seal --witness` writes", "--witness: %v", err)
	}
	defer file.Close()
	witness, err := audit.ReadWitness(file)
	if err != nil {
		return nil, usagef("give the file that `waybill audit seal --witness` writes", "--witness: %v", err)
	}
	return witness, nil
}

func counted(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	if strings.HasSuffix(thing, "s") {
		return fmt.Sprintf("%d %ses", n, thing)
	}
	return fmt.Sprintf("%d %ss", n, thing)
}
