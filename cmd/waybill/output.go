package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"golang.org/x/term"
)

const (
	outputText = "text"
	outputJSON = "json"
)

// stickyWriter keeps the first error of a writer, and ends the work whose output nobody can see any more.
type stickyWriter struct {
	to     io.Writer
	failed context.CancelFunc
	err    error
}

func (w *stickyWriter) Write(b []byte) (int, error) {
	if w.err != nil {
		return 0, w.err
	}
	n, err := w.to.Write(b)
	if err != nil {
		w.err = fmt.Errorf("write the output: %w", err)
		w.failed()
	}
	return n, err
}

// json says whether the user wants JSON.
func (p *program) json() bool { return p.output.value == outputJSON }

// printJSON prints a document, indented.
func (p *program) printJSON(document any) error {
	encoder := json.NewEncoder(p.stdout)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	return encoder.Encode(document)
}

func (p *program) printf(format string, args ...any) { fmt.Fprintf(p.stdout, format, args...) }

func isTerminal(stream any) bool {
	file, ok := stream.(*os.File)
	return ok && term.IsTerminal(int(file.Fd()))
}

// style colours text, or not.
type style struct{ on bool }

// styleFor follows https://no-color.org, and takes everything that is not a terminal for a file.
func styleFor(stream any, getenv func(string) string) style {
	return style{on: isTerminal(stream) && getenv("NO_COLOR") == "" && getenv("TERM") != "dumb"}
}

func (s style) code(code, text string) string {
	if !s.on || text == "" {
		return text
	}
	return "\x1b[" + code + "m" + text + "\x1b[0m"
}

func (s style) bold(text string) string   { return s.code("1", text) }
func (s style) dim(text string) string    { return s.code("2", text) }
func (s style) red(text string) string    { return s.code("31", text) }
func (s style) green(text string) string  { return s.code("32", text) }
func (s style) yellow(text string) string { return s.code("33", text) }
func (s style) cyan(text string) string   { return s.code("36", text) }

// status colours a status by what it means to somebody who waits for the order.
func (s style) status(status string) string {
	switch status {
	case "cancelled", "destroyed", "failed", "given_up", "voided", "refunded", "on_hold":
		return s.yellow(status)
	case "approved", "paid", "free", "fulfilled", "delivered", "shipped", "captured", "not_required":
		return s.green(status)
	}
	return s.cyan(status)
}

var escapes = regexp.MustCompile(`\x1b\[[0-9;]*m`)

// width is how many columns a text takes on a terminal, colours aside.
func width(text string) int { return utf8.RuneCountInString(escapes.ReplaceAllString(text, "")) }

func padRight(text string, to int) string {
	return text + strings.Repeat(" ", max(0, to-width(text)))
}

func padLeft(text string, to int) string {
	return strings.Repeat(" ", max(0, to-width(text))) + text
}

// clean makes text that came from outside safe for a terminal: it can neither move the cursor nor break the line.
func clean(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || r == utf8.RuneError || r == '\u2028' || r == '\u2029' || unicode.Is(unicode.Bidi_Control, r) {
			return '\uFFFD'
		}
		return r
	}, text)
}

// table aligns columns. The last one is never padded.
type table struct {
	right []int // columns that are aligned to the right
	rows  [][]string
}

func (t *table) add(cells ...string) { t.rows = append(t.rows, cells) }

func (t *table) write(w io.Writer, indent string) { t.writeAs(w, indent, nil) }

// writeAs takes columns to be at least as wide as given, so that several tables can stand below one another.
func (t *table) writeAs(w io.Writer, indent string, least []int) {
	widths := slices.Clone(least)
	for _, row := range t.rows {
		for i, cell := range row {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], width(cell))
		}
	}
	for _, row := range t.rows {
		var line strings.Builder
		line.WriteString(indent)
		for i, cell := range row {
			if i > 0 {
				line.WriteString("  ")
			}
			switch {
			case slices.Contains(t.right, i):
				cell = padLeft(cell, widths[i])
			case i < len(row)-1:
				cell = padRight(cell, widths[i])
			}
			line.WriteString(cell)
		}
		fmt.Fprintln(w, strings.TrimRight(line.String(), " "))
	}
}

// when shows a moment to the millisecond, in UTC.
func when(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05.000") }
