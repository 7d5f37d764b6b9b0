package audit

import (
	"bytes"
	"compress/gzip"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
	"time"
)

// export returns a bundle, once all is settled.
func (f *fixture) export(o ExportOptions) ([]byte, Exported) {
	f.t.Helper()
	f.settle()
	var bundle bytes.Buffer
	exported, err := f.log.Export(f.t.Context(), &bundle, o)
	if err != nil {
		f.t.Fatal(err)
	}
	return bundle.Bytes(), exported
}

func unpack(t testing.TB, bundle []byte) []string {
	t.Helper()
	r, err := gzip.NewReader(bytes.NewReader(bundle))
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return strings.SplitAfter(strings.TrimSuffix(string(text), "\n"), "\n")
}

func pack(t testing.TB, lines ...string) []byte {
	t.Helper()
	var bundle bytes.Buffer
	w := gzip.NewWriter(&bundle)
	for _, l := range lines {
		if _, err := io.WriteString(w, strings.TrimSuffix(l, "\n")+"\n"); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return bundle.Bytes()
}

// What a bundle holds can be verified without the database that it came from.
func TestBundle(t *testing.T) {
	t.Parallel()
	f := life(t)
	keys := []ed25519.PublicKey{public}
	bundle, exported := f.export(ExportOptions{Key: key, Progress: &Progress{}})
	if exported != (Exported{Events: 32, Seals: 3, Signed: true}) {
		t.Errorf("%+v", exported)
	}
	r, err := VerifyBundle(t.Context(), bytes.NewReader(bundle), Options{Keys: keys, Witness: f.witness()})
	if err != nil || !r.Intact() || r.Events != 32 || r.Streams != 6 || r.Seals.Sealed != 30 || r.Seals.Unsealed != 2 || !r.Bundle.Signed || r.Bundle.Partial {
		t.Errorf("%+v, %v, %s", r, err, findings(r))
	}
	database := f.verify(Options{Keys: keys})
	if *r.Seals.Last != *database.Seals.Last {
		t.Errorf("the last seal is %+v, and %+v in the database", r.Seals.Last, database.Seals.Last)
	}
	again, _ := f.export(ExportOptions{Key: key})
	if !bytes.Equal(bundle, again) {
		t.Error("the same log gives another bundle")
	}

	// Of one workspace the events, of the others the hashes: that is enough for the seals.
	bundle, exported = f.export(ExportOptions{Workspace: "b"})
	if exported != (Exported{Events: 10, Leaves: 22, Seals: 3}) || strings.Contains(strings.Join(unpack(t, bundle), ""), `"workspace":"a"`) {
		t.Errorf("of one workspace: %+v", exported)
	}
	r, err = VerifyBundle(t.Context(), bytes.NewReader(bundle), Options{Keys: keys})
	if err != nil || !r.Intact() || r.Events != 10 || r.Bundle.Leaves != 22 || r.Seals.Sealed != 30 || r.Bundle.Signed {
		t.Errorf("%+v, %v, %s", r, err, findings(r))
	}
}

// A bundle of a time holds whole seals, and streams that began before it are checked from where they come in.
func TestBundleOfATime(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.append("a/1")
	if bundle, exported := f.export(ExportOptions{}); exported.Events != 1 || exported.Seals != 0 {
		t.Errorf("without a seal: %+v, %d bytes", exported, len(bundle))
	}
	day := func(n int) time.Time { return noon.AddDate(0, 0, n) }
	for n := range 4 {
		f.at = day(n)
		f.append("a/1", "a/2", "a/1")
		f.seal()
	}
	f.at = day(4)
	f.append("a/1", "a/2")
	for _, test := range []struct {
		from, to time.Time
		want     Exported
		partial  bool
		unsealed int64
	}{
		{want: Exported{Events: 15, Seals: 4}, unsealed: 2},
		{from: day(1), to: day(2), want: Exported{Events: 6, Seals: 2}, partial: true},
		{to: day(0), want: Exported{Events: 4, Seals: 1}},
		{to: day(-1), want: Exported{}},
		{from: day(3), want: Exported{Events: 5, Seals: 1}, partial: true, unsealed: 2},
		{from: day(4), want: Exported{Events: 2}, partial: true, unsealed: 2},
		{from: day(4), to: day(5), want: Exported{Events: 2}, partial: true, unsealed: 2},
	} {
		bundle, exported := f.export(ExportOptions{From: test.from, To: test.to})
		r, err := VerifyBundle(t.Context(), bytes.NewReader(bundle), Options{Keys: []ed25519.PublicKey{public}, Witness: f.witness()[:exported.Seals]})
		if exported != test.want || err != nil || !r.Intact() || r.Events != test.want.Events || r.Bundle.Partial != test.partial || r.Seals.Unsealed != test.unsealed {
			t.Errorf("%v to %v: %+v, want %+v; %+v, %v, %s", test.from, test.to, exported, test.want, r.Bundle, err, findings(r))
		}
	}
}

// Whoever changes a bundle's lines, and leaves the end as it was or writes one that fits the lines, is found out.
func TestAlteredBundle(t *testing.T) {
	t.Parallel()
	f := life(t)
	bundle, _ := f.export(ExportOptions{Key: key})
	witness := f.witness()
	whole := unpack(t, bundle)
	find := func(lines []string, part string) int {
		for i, l := range lines {
			if strings.Contains(l, part) {
				return i
			}
		}
		t.Fatalf("no line has %s", part)
		return 0
	}
	event := func(lines []string, stream string, version int) int {
		return find(lines, fmt.Sprintf(`"stream":"order/%s","version":%d,`, stream, version))
	}
	drop := func(lines []string, i int) []string { return append(lines[:i:i], lines[i+1:]...) }
	const altered = "the bundle was altered: its lines are not those that its end is about"
	for name, test := range map[string]struct {
		edit func([]string) []string
		want string // once the end fits again
	}{
		"change": {func(l []string) []string {
			i := event(l, "3", 5)
			l[i] = strings.Replace(l[i], `\"note`, `\"nota`, 1)
			return l
		}, "a/order/3 5: the event, or one before it, does not match its hash"},
		"delete": {func(l []string) []string { return drop(l, event(l, "3", 3)) }, "a/order/3 3: the event is missing, version 4 follows\n" +
			"seal 2, at order/3 version 4 of workspace a: the events right before this one are gone (10 were sealed, 9 are there)"},
		"cut a stream off": {func(l []string) []string { return drop(l, event(l, "3", 6)) },
			"seal 3, at order/2 version 6 of workspace a: the events right before this one are gone (10 were sealed, 9 are there)"},
		"change the tail": {func(l []string) []string { return drop(l, event(l, "9", 1)) }, ""},
		"drop the last seal": {func(l []string) []string { return drop(l, find(l, `{"seal":{"number":3`)) },
			"seal 3: it is missing: it was made at 2026-01-01T12:00:00Z"},
		"drop a seal": {func(l []string) []string { return drop(l, find(l, `{"seal":{"number":2`)) }, "seal 3: seal 2, which comes before it, is missing"},
		"change a seal": {func(l []string) []string {
			i := find(l, `{"seal":{"number":2`)
			l[i] = strings.Replace(l[i], `"recordedTo":"2026-01-01`, `"recordedTo":"2026-01-02`, 1)
			return l
		}, "seal 2: it was altered: its signature does not fit\nseal 3: it was made behind another seal 2 than this one"},
	} {
		lines := test.edit(append([]string{}, whole...))
		o := Options{Keys: []ed25519.PublicKey{public}, Witness: witness}
		r, err := VerifyBundle(t.Context(), bytes.NewReader(pack(t, lines...)), o)
		want := strings.TrimSpace(altered + "\n" + test.want)
		if chains, seals, both := strings.Cut(test.want, "\nseal"); both && len(r.Broken) > 0 {
			want = chains + "\n" + altered + "\nseal" + seals
		} else if len(r.Broken) > 0 {
			want = test.want + "\n" + altered
		}
		if got := findings(r); err != nil || got != want {
			t.Errorf("%s: found\n%s\nwant\n%s\n%v", name, got, want, err)
		}
		r, err = VerifyBundle(t.Context(), bytes.NewReader(withNewEnd(t, lines)), o)
		if got := findings(r); err != nil || got != test.want || r.Bundle.Signed {
			t.Errorf("%s, with an end that fits: found\n%s\nwant\n%s\n%v", name, got, test.want, err)
		}
	}
}

// withNewEnd packs lines with an end that fits them, without a signature.
func withNewEnd(t *testing.T, lines []string) []byte {
	t.Helper()
	var bundle bytes.Buffer
	w := newBundleWriter(&bundle)
	for _, l := range lines[:len(lines)-1] {
		w.hash.Write([]byte(l))
		if _, err := w.gzip.Write([]byte(l)); err != nil {
			t.Fatal(err)
		}
		switch {
		case strings.HasPrefix(l, `{"event"`):
			w.end.Events++
		case strings.HasPrefix(l, `{"seal"`):
			w.end.Seals++
		}
	}
	if err := w.close(nil); err != nil {
		t.Fatal(err)
	}
	return bundle.Bytes()
}

// zeros is an endless line.
type zeros struct{}

func (zeros) Read(b []byte) (int, error) { clear(b); return len(b), nil }

// What is not a whole bundle is refused, with the line, and without taking memory or time for it.
func TestHostileBundles(t *testing.T) {
	t.Parallel()
	f := life(t)
	bundle, _ := f.export(ExportOptions{Key: key})
	lines := unpack(t, bundle)
	edit := func(do func(l []string) []string) []byte { return pack(t, do(append([]string{}, lines...))...) }
	replace := func(line int, old, with string) []byte {
		return edit(func(l []string) []string { l[line] = strings.Replace(l[line], old, with, 1); return l })
	}
	stored := func(from io.Reader, level int) []byte {
		var b bytes.Buffer
		w, _ := gzip.NewWriterLevel(&b, level)
		if _, err := io.Copy(w, from); err != nil {
			t.Fatal(err)
		}
		w.Close()
		return b.Bytes()
	}
	last := len(lines) - 1
	for name, test := range map[string]struct {
		bundle []byte
		want   string
	}{
		"empty":           {nil, "it is not gzip"},
		"not gzip":        {[]byte("PK\x03\x04 and so on, for long enough"), "it is not gzip"},
		"gzip of nothing": {pack(t), "it ends after 0 lines"},
		"another text":    {pack(t, "hello"), "line 1 of the bundle: it is not written as"},
		"no header":       {edit(func(l []string) []string { return l[1:] }), "line 1 of the bundle: the header"},
		"two headers":     {edit(func(l []string) []string { return append([]string{l[0]}, l...) }), "line 2 of the bundle: the header"},
		"no end":          {edit(func(l []string) []string { return l[:last] }), fmt.Sprintf("it ends after %d lines, without its end", last)},
		"cut in gzip":     {bundle[:len(bundle)/2], "cut off"},
		"cut at the end":  {bundle[:len(bundle)-3], "cut off"},
		"cut in a line":   {stored(strings.NewReader(strings.Join(lines[:4], "")[:1500]), 6), "it was cut off"},
		"bytes flipped":   {append(append(append([]byte{}, bundle[:200]...), 0xff, 0xff, 0xff, 0xff), bundle[204:]...), ""},
		"more lines":      {edit(func(l []string) []string { return append(l, l[2]) }), "something comes behind"},
		"more gzip":       {append(append([]byte{}, bundle...), bundle...), "something comes behind"},
		"more bytes":      {append(append([]byte{}, bundle...), "more"...), "something comes behind"},
		"twice":           {edit(func(l []string) []string { return append(l[:3:3], l[2:]...) }), "line 4 of the bundle: the event at"},
		"swapped":         {edit(func(l []string) []string { l[2], l[3] = l[3], l[2]; return l }), "line 4 of the bundle: the event at"},
		"a seal twice":    {edit(func(l []string) []string { return append(l[:2:2], l[1:]...) }), "line 3 of the bundle: seal 1 comes behind seal 1"},
		"unknown field":   {replace(2, `"version"`, `"verison":1,"version"`), "line 3 of the bundle: it is not written as"},
		"a field twice":   {replace(2, `"version":1`, `"version":2,"version":1`), "line 3 of the bundle: it is not written as"},
		"other case":      {replace(2, `"version"`, `"Version"`), "line 3 of the bundle: it is not written as"},
		"spaces":          {replace(2, `"version":1`, `"version": 1`), "line 3 of the bundle: it is not written as"},
		"wrong type":      {replace(2, `"version":1`, `"version":"1"`), "line 3 of the bundle: it is not written as"},
		"no kind":         {replace(2, `{"event"`, `{"evnt"`), "line 3 of the bundle: it is of 0 of the kinds"},
		"two kinds":       {edit(func(l []string) []string { l[2] = strings.TrimSuffix(l[2], "}\n") + "," + l[1][1:]; return l }), "line 3 of the bundle: it is of 2 of the kinds"},
		"newer format":    {replace(0, `"format":1`, `"format":2`), "its format is 2"},
		"endless line":    {stored(io.LimitReader(zeros{}, 64<<20), 1), "line 1 of the bundle: it is longer than the 16 MiB"},
		"bomb":            {bomb(t), "expands to more than 200 times"},
	} {
		r, err := VerifyBundle(t.Context(), bytes.NewReader(test.bundle), Options{})
		var bad *BundleError
		if !errors.As(err, &bad) || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, want %q; %s", name, err, test.want, findings(r))
		}
	}
}

// bomb is a small bundle of lines that are each as they should be, and of which there seems to be no end.
func bomb(t *testing.T) []byte {
	t.Helper()
	var b bytes.Buffer
	w := newBundleWriter(&b)
	w.write(line{Bundle: &header{Format: bundleFormat, Previous: make([]byte, 32)}})
	for i := range int64(20) {
		w.write(line{Event: &eventLine{Place: cursor{0, i + 1}, Data: strings.Repeat(" ", 4<<20), Hash: make([]byte, 32)}})
	}
	if err := w.close(nil); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// More events than fit into memory come back in the order of their streams.
func TestLinksInAFile(t *testing.T) {
	t.Parallel()
	const streams, versions = 500, 700
	var all []link
	for s := range streams {
		for v := range versions {
			all = append(all, link{"w", fmt.Sprint("order/", s), v + 1, int64(v), true, []byte{byte(v)}, []byte{byte(v + 1)}})
			if v == 0 {
				all[len(all)-1].previous = nil
			}
		}
	}
	all[3*versions+7].hash = []byte{99}
	rand.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	var l links
	defer l.close()
	for _, k := range all {
		if err := l.add(k); err != nil {
			t.Fatal(err)
		}
	}
	if len(l.runs) != streams*versions/maxLinks {
		t.Errorf("%d runs", len(l.runs))
	}
	var r Report
	if err := l.verify(false, &r); err != nil || r.Streams != streams || r.Events != streams*versions-(versions-8) || r.BrokenAt != 1 || r.Broken[0].Version != 9 {
		t.Errorf("%+v, %v", r, err)
	}
}

func FuzzBundle(f *testing.F) {
	f.Add([]byte(`{"bundle":{"format":1,"madeAt":"2026-01-01T12:00:00Z","workspace":"","after":"0/0","firstSeal":0,"previous":"`+strings.Repeat("0", 64)+`"}}`+"\n"), true)
	f.Add([]byte("\x1f\x8b"), false)
	f.Fuzz(func(t *testing.T, data []byte, packed bool) {
		if packed {
			data = pack(t, string(data))
		}
		if r, err := VerifyBundle(t.Context(), bytes.NewReader(data), Options{}); err == nil && r.Bundle == nil {
			t.Error("no error and no bundle")
		}
	})
}
