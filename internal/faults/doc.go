// Package faults holds tests, and nothing else. TestFaults runs three real flightbill processes while applications and
// clerks work with them, breaks whatever can be broken around them, and then recomputes every charge. TestEachFault does
// each fault and each operation once, so that none of them always fails.
//
//   - faults_test.go: what is broken, a table with one line a fault
//   - work_test.go, clerk_test.go: what applications and clerks do, a table with one line an operation
//   - check_test.go, price_test.go: what must hold at the end, in arithmetic of its own
//   - harness_test.go: the test itself; serve_test.go, postgres_test.go, proxy_test.go, pinot_test.go: what it runs
//
// What is asked for is written down by witnesses in the database, in the transaction that asks for it: so what was
// committed is known even where the connection was cut at the commit.
package faults
