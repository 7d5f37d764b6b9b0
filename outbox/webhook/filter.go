package webhook

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/checker"
)

// Filter is a condition in the Common Expression Language (https://cel.dev) on what a webhook is sent. It sees two variables: body, the
// JSON that would be sent, and event, its public name. Whole numbers of the body are CEL's int, all others double:
//
//	body.data.order.totalAmount > 10000 && body.data.order.currency == "USD"
//	event != "order.placed" || "vip" in body.data.order.metadata
//
// The same body always gives the same answer: there is no clock and no randomness. A Filter is safe for concurrent use.
type Filter struct {
	program cel.Program
}

const (
	maxFilterLength = 4096   // bytes
	maxFilterCost   = 20_000 // of CEL's units, by its estimate and at run time: less than a tenth of a second at the very worst
	assumedSize     = 20     // elements that the estimate assumes a list or a text of a body to have
)

// CompileFilter checks an expression and what it can cost. The error says what is wrong with it, for people.
func CompileFilter(expression string) (*Filter, error) {
	if len(expression) > maxFilterLength {
		return nil, fmt.Errorf("has to be at most %d bytes", maxFilterLength)
	}
	env, err := cel.NewEnv(
		cel.Variable("body", cel.DynType), cel.Variable("event", cel.StringType),
		cel.CrossTypeNumericComparisons(true), cel.ParserRecursionLimit(64), cel.ParserExpressionSizeLimit(maxFilterLength),
	)
	if err != nil {
		return nil, fmt.Errorf("cannot be compiled: %w", err)
	}
	ast, issues := env.Compile(expression)
	if issues.Err() != nil {
		return nil, errors.New("is no expression: " + oneLine(issues))
	}
	if t := ast.OutputType(); !t.IsExactType(cel.BoolType) && !t.IsExactType(cel.DynType) {
		return nil, fmt.Errorf("has to be true or false, not a %s", t)
	}
	estimate, err := env.EstimateCost(ast, sizes{})
	if err != nil {
		return nil, fmt.Errorf("cannot be compiled: %w", err)
	}
	if estimate.Max > maxFilterCost {
		return nil, fmt.Errorf("would cost too much to evaluate (%d units, at most %d are allowed): leave nested loops out", estimate.Max, maxFilterCost)
	}
	program, err := env.Program(ast, cel.EvalOptions(cel.OptOptimize), cel.CostLimit(maxFilterCost))
	if err != nil {
		return nil, errors.New("cannot be compiled: " + err.Error())
	}
	return &Filter{program}, nil
}

// oneLine names the places and drops the drawing of the expression, which has no room in a list of fields.
func oneLine(issues *cel.Issues) string {
	var parts []string
	for _, e := range issues.Errors() {
		parts = append(parts, fmt.Sprintf("column %d: %s", e.Location.Column()+1, e.Message))
		if len(parts) == 3 {
			break
		}
	}
	return strings.Join(parts, "; ")
}

// Matches says whether a message passes the filter. It returns an error where the filter cannot tell: the body lacks a field that it
// names (`has(body.data.order)` asks for that), types do not fit, or it costs too much.
func (f *Filter) Matches(event string, body []byte) (bool, error) {
	value, err := decode(body)
	if err != nil {
		return false, err
	}
	result, _, err := f.program.Eval(map[string]any{"body": value, "event": event})
	if err != nil {
		return false, err
	}
	matches, ok := result.Value().(bool)
	if !ok {
		return false, fmt.Errorf("the filter gave a %s, not true or false", result.Type().TypeName())
	}
	return matches, nil
}

func decode(body []byte) (any, error) {
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.UseNumber()
	var value any
	if err := decoder.Decode(&value); err != nil {
		return nil, fmt.Errorf("the body is not JSON: %w", err)
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("the body is not one JSON value")
	}
	return numbers(value), nil
}

// numbers makes int64 or float64 of numbers.
func numbers(value any) any {
	switch v := value.(type) {
	case json.Number:
		if n, err := v.Int64(); err == nil {
			return n
		}
		f, _ := v.Float64()
		return f
	case map[string]any:
		for name, member := range v {
			v[name] = numbers(member)
		}
	case []any:
		for i, element := range v {
			v[i] = numbers(element)
		}
	}
	return value
}

// sizes tells the estimate what to assume.
type sizes struct{}

func (sizes) EstimateSize(checker.AstNode) *checker.SizeEstimate {
	return &checker.SizeEstimate{Min: 0, Max: assumedSize}
}

func (sizes) EstimateCallCost(string, string, *checker.AstNode, []checker.AstNode) *checker.CallEstimate {
	return nil
}
