// Package bank reads what a bank says of an account. It is pure: it reads no database and
// no clock.
//
//   - ReadCAMT gives the entries of a statement, CAMT.053, one by one.
//   - Codes finds the numbers of invoices in what payers write.
package bank
