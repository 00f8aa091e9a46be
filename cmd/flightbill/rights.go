package main

import (
	"fmt"
	"regexp"
	"strings"
)

// ownerOnly stands where a command takes the owner of the tables.
const ownerOnly = ""

// roleOf is the role of least rights that a command takes; without an entry: reporter.
var roleOf = map[string]string{
	"flightbill serve": "server", "flightbill consolidate": "server", "flightbill overdue": "server",
	"flightbill reconcile": "server", // that enqueues; a reporter may do the rest
	"flightbill enqueue":   "enqueuer",
	"flightbill import":    "accountant", "flightbill void": "accountant", "flightbill correct": "accountant", "flightbill invoices unpay": "accountant",
	"flightbill invoices export": "accountant", "flightbill issuer set": "accountant",
	"flightbill tariffs check": "accountant", "flightbill tariffs try": "accountant",
	"flightbill webhooks add": "accountant", "flightbill webhooks rotate": "accountant", "flightbill webhooks remove": "accountant", "flightbill deliveries retry": "accountant",
	"flightbill payments record": "accountant", "flightbill payments refund": "accountant", "flightbill payments reverse": "accountant",
	"flightbill payments set-off": "accountant", "flightbill payments write-off": "accountant", "flightbill interest": "accountant",
	"flightbill bank import": "accountant", "flightbill bank book": "accountant", "flightbill bank ignore": "accountant", "flightbill accounts set": "accountant",
	"flightbill migrate up": ownerOnly, "flightbill migrate down": ownerOnly, "flightbill migrate grant": ownerOnly,
	"flightbill settings set": ownerOnly, "flightbill maintain": ownerOnly,
}

// lackedRole says what to do about a right that a login lacks for a command.
func lackedRole(command, login string) string {
	role, listed := roleOf[command]
	switch {
	case !listed:
		role = "reporter"
	case role == ownerOnly:
		return fmt.Sprintf("%q takes the owner of schema flightbill, which %q is not: run it with that login", command, login)
	}
	return fmt.Sprintf("%q takes the role flightbill_%s: have the owner of schema flightbill run: flightbill migrate grant %[2]s %s", command, role, shellWord(login))
}

var plainWord = regexp.MustCompile(`^[\w.@-]+$`)

// shellWord is text as one word of a command to paste.
func shellWord(text string) string {
	if plainWord.MatchString(text) {
		return text
	}
	return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'"
}
