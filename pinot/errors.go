package pinot

import (
	"fmt"
	"strings"

	pinotclient "github.com/startreedata/pinot-client-go/pinot"
)

// ConfigError reports a setting that cannot work: by itself, or, from Check, with
// the table that Pinot has. Waiting does not help.
type ConfigError struct {
	Setting string // the environment variable, such as PINOT_COLUMNS
	Problem string // what is wrong with it, for people
	Err     error  // what Pinot said, where it was Pinot that objected
}

// Error names the variable first.
func (e *ConfigError) Error() string {
	if e.Err != nil {
		return e.Setting + ": " + e.Problem + ": " + e.Err.Error()
	}
	return e.Setting + ": " + e.Problem
}

// Unwrap returns what Pinot said.
func (e *ConfigError) Unwrap() error { return e.Err }

func configErrorf(setting, format string, args ...any) *ConfigError {
	return &ConfigError{Setting: setting, Problem: fmt.Sprintf(format, args...)}
}

// Exception codes of Pinot that a wrong table or mapping causes. Every other code
// means that Pinot cannot answer now.
const (
	codeSQLParsing     = 150
	codeSQLRuntime     = 160
	codeTableMissing   = 190
	codeTableDisabled  = 191
	codeQueryExecution = 200 // an unknown function, or text that is no number; and failures of servers
	codeQueryInvalid   = 700
	codeUnknownColumn  = 710
	codeQueryPlanning  = 720
)

// exceptionError is a query that Pinot answered with exceptions: the first of
// them, which names the cause.
type exceptionError struct {
	code    int
	message string
}

func (e *exceptionError) Error() string {
	return fmt.Sprintf("exception %d: %s", e.code, e.message)
}

// maxExceptionText keeps error texts readable in River UI and in the queue view:
// Pinot repeats the whole query and a stack trace.
const maxExceptionText = 300

func newExceptionError(e pinotclient.Exception) *exceptionError {
	var kept []string
	for line := range strings.Lines(e.Message) {
		line = strings.TrimRight(line, "\r\n")
		if line == "" || line[0] == ' ' || line[0] == '\t' || line == "..." {
			continue // a stack frame
		}
		kept = append(kept, line)
	}
	text := []rune(strings.Join(kept, " "))
	if len(text) > maxExceptionText {
		text = append(text[:maxExceptionText], '…')
	}
	return &exceptionError{code: e.ErrorCode, message: string(text)}
}

// tableFault says whether the exception means that the table is not there to be
// queried.
func (e *exceptionError) tableFault() bool {
	return e.code == codeTableMissing || e.code == codeTableDisabled
}

// queryFault says whether the exception may come from an expression of the
// mapping. Asking for the columns one by one tells.
func (e *exceptionError) queryFault() bool {
	switch e.code {
	case codeSQLParsing, codeSQLRuntime, codeQueryExecution, codeQueryInvalid, codeUnknownColumn, codeQueryPlanning:
		return true
	default:
		return false
	}
}
