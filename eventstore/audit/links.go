package audit

import (
	"bufio"
	"bytes"
	"cmp"
	"container/heap"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
)

// link is what the chain of a stream needs to know of an event.
type link struct {
	workspace, stream string
	version           int
	recordedAt        int64 // microseconds
	fits              bool  // whether the event fits its hash
	previous, hash    []byte
}

func byStream(a, b link) int {
	return cmp.Or(strings.Compare(a.workspace, b.workspace), strings.Compare(a.stream, b.stream), cmp.Compare(a.version, b.version))
}

// maxLinks is how many links are kept in memory, some 30 MB of them.
const maxLinks = 1 << 17

// links brings events that come in the order of the log into the order of their streams. What is too much for memory goes to a file, as
// sorted runs.
type links struct {
	recent []link
	file   *os.File
	runs   []int64 // where each begins in the file
	size   int64
}

func (l *links) add(k link) error {
	l.recent = append(l.recent, k)
	if len(l.recent) < maxLinks {
		return nil
	}
	return l.spill()
}

func (l *links) spill() (err error) {
	slices.SortStableFunc(l.recent, byStream)
	if l.file == nil {
		if l.file, err = os.CreateTemp("", "waybill-audit-*"); err != nil {
			return fmt.Errorf("make room for a large bundle: %w", err)
		}
	}
	l.runs = append(l.runs, l.size)
	w := bufio.NewWriterSize(l.file, 1<<16)
	var b []byte
	for _, k := range l.recent {
		b = b[:0]
		for _, text := range []string{k.workspace, k.stream, string(k.previous), string(k.hash)} {
			b = append(binary.AppendUvarint(b, uint64(len(text))), text...)
		}
		fits := int64(0)
		if k.fits {
			fits = 1
		}
		for _, number := range []int64{int64(k.version), k.recordedAt, fits} {
			b = binary.AppendVarint(b, number)
		}
		l.size += int64(len(b))
		if _, err = w.Write(b); err != nil {
			break
		}
	}
	l.recent = l.recent[:0]
	if err = errors.Join(err, w.Flush()); err != nil {
		return fmt.Errorf("make room for a large bundle: %w", err)
	}
	return nil
}

func (l *links) close() {
	if l.file != nil {
		l.file.Close()
		os.Remove(l.file.Name())
	}
}

// sorted visits all links, stream by stream, each by ascending versions.
func (l *links) sorted(visit func(link)) error {
	slices.SortStableFunc(l.recent, byStream)
	var runs merge
	for i, from := range l.runs {
		upto := l.size
		if i+1 < len(l.runs) {
			upto = l.runs[i+1]
		}
		r := &run{from: bufio.NewReader(io.NewSectionReader(l.file, from, upto-from))}
		if err := r.next(); err != nil {
			return err
		}
		runs = append(runs, r)
	}
	if len(l.recent) > 0 {
		runs = append(runs, &run{head: l.recent[0], rest: l.recent[1:]})
	}
	heap.Init(&runs)
	for len(runs) > 0 {
		visit(runs[0].head)
		switch err := runs[0].next(); err {
		case nil:
			heap.Fix(&runs, 0)
		case io.EOF:
			heap.Pop(&runs)
		default:
			return fmt.Errorf("read a large bundle's streams back: %w", err)
		}
	}
	return nil
}

// run is a sorted run: of the file, or the rest that is in memory.
type run struct {
	head link
	rest []link
	from *bufio.Reader
}

func (r *run) next() error {
	if r.from == nil {
		if len(r.rest) == 0 {
			return io.EOF
		}
		r.head, r.rest = r.rest[0], r.rest[1:]
		return nil
	}
	var texts [4][]byte
	for i := range texts {
		n, err := binary.ReadUvarint(r.from)
		if err != nil {
			return err
		}
		texts[i] = make([]byte, n)
		if _, err := io.ReadFull(r.from, texts[i]); err != nil {
			return err
		}
	}
	var numbers [3]int64
	for i := range numbers {
		var err error
		if numbers[i], err = binary.ReadVarint(r.from); err != nil {
			return err
		}
	}
	r.head = link{string(texts[0]), string(texts[1]), int(numbers[0]), numbers[1], numbers[2] == 1, texts[2], texts[3]}
	return nil
}

// merge is a heap of runs by their heads.
type merge []*run

func (m merge) Len() int           { return len(m) }
func (m merge) Less(i, j int) bool { return byStream(m[i].head, m[j].head) < 0 }
func (m merge) Swap(i, j int)      { m[i], m[j] = m[j], m[i] }
func (m *merge) Push(r any)        { *m = append(*m, r.(*run)) }
func (m *merge) Pop() any {
	last := (*m)[len(*m)-1]
	*m = (*m)[:len(*m)-1]
	return last
}

// verify walks along the chains, as [eventstore.Chain] does, and reports the first bad event of each stream. Where partial is set, a
// stream may begin with any version.
func (l *links) verify(partial bool, report *Report) error {
	var last link
	skip := false
	return l.sorted(func(k link) {
		if k.workspace != last.workspace || k.stream != last.stream || report.Streams == 0 {
			report.Streams++
			skip = false
			last = link{workspace: k.workspace, stream: k.stream, recordedAt: k.recordedAt}
			if partial && k.version > 0 {
				last.version, last.hash = k.version-1, k.previous
			}
		}
		if skip {
			return
		}
		b := Broken{Workspace: k.workspace, Stream: k.stream, Version: k.version}
		switch {
		case k.version <= last.version:
			b.Reason = "the event is there twice"
		case k.version > last.version+1:
			b.Reason = fmt.Sprintf("the event is missing, version %d follows", k.version)
			b.Version = last.version + 1
		case k.recordedAt < last.recordedAt:
			b.Reason = "the event is dated before the one it follows"
		case !k.fits || !bytes.Equal(k.previous, last.hash):
			b.Reason = "the event, or one before it, does not match its hash"
		default:
			last = k
			report.Events++
			return
		}
		skip = true
		report.broken(b)
	})
}
