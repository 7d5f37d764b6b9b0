package main

import (
	"bytes"
	"embed"
	"encoding/json"
	"fmt"
	"io/fs"
	"reflect"

	"github.com/waybill-dev/waybill/domain"
	"github.com/waybill-dev/waybill/domain/order"
)

//go:embed testdata/orders/*.json
var demoOrders embed.FS

// script is an order's life as a list of commands.
type script struct {
	title   string
	orderID string
	acts    []act
}

// act is one command of a script.
type act struct {
	command domain.Command
	by      string // who issues it
	refused bool   // whether the machines are to refuse it
}

// readScripts reads every script of a directory, in the order of the files' names.
func readScripts(files fs.FS, pattern string) ([]script, error) {
	names, err := fs.Glob(files, pattern)
	if err != nil {
		return nil, err
	}
	var scripts []script
	for _, name := range names {
		text, err := fs.ReadFile(files, name)
		if err != nil {
			return nil, err
		}
		s, err := parseScript(text)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		scripts = append(scripts, s)
	}
	return scripts, nil
}

func parseScript(text []byte) (script, error) {
	var written struct {
		Title    string                       `json:"title"`
		OrderID  string                       `json:"orderId"`
		Commands []map[string]json.RawMessage `json:"commands"`
	}
	if err := decodeStrictly(text, &written); err != nil {
		return script{}, err
	}
	s := script{title: written.Title, orderID: written.OrderID}
	for i, fields := range written.Commands {
		a, err := parseAct(fields, s.orderID)
		if err != nil {
			return s, fmt.Errorf("command %d: %w", i+1, err)
		}
		s.acts = append(s.acts, a)
	}
	return s, nil
}

// parseAct takes what belongs to the script off, and leaves the fields of the command.
func parseAct(fields map[string]json.RawMessage, orderID string) (a act, err error) {
	var name string
	for field, into := range map[string]any{"command": &name, "by": &a.by, "refused": &a.refused} {
		if text, ok := fields[field]; ok {
			if err := json.Unmarshal(text, into); err != nil {
				return a, fmt.Errorf("%s: %w", field, err)
			}
			delete(fields, field)
		}
	}
	if fields["orderId"], err = json.Marshal(orderID); err != nil {
		return a, err
	}
	text, err := json.Marshal(fields)
	if err != nil {
		return a, err
	}
	a.command, err = decodeCommand(name, text)
	return a, err
}

// decodeCommand reads the command of that name, such as "order.place", from its JSON, and refuses fields that it does not have.
func decodeCommand(name string, text []byte) (domain.Command, error) {
	var names []string
	for _, zero := range order.Commands() {
		if zero.CommandName() != name {
			names = append(names, zero.CommandName())
			continue
		}
		command := reflect.New(reflect.TypeOf(zero))
		if err := decodeStrictly(text, command.Interface()); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		return command.Elem().Interface().(domain.Command), nil
	}
	return nil, usagef(suggest(name, names), "there is no command %q", name)
}

func decodeStrictly(text []byte, into any) error {
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	return decoder.Decode(into)
}
