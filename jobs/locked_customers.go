package jobs

import (
	"fmt"
	"sync"
	"time"

	"github.com/flightbill/flightbill/billing"
)

// lockedWait is how long the flights of a customer wait whom somebody has locked. To
// find out costs a save a second.
const lockedWait = 15 * time.Second

// lockedCustomers are those whom somebody's open transaction has locked.
type lockedCustomers struct {
	mu    sync.Mutex
	until map[int64]time.Time
}

func (l *lockedCustomers) note(customer billing.Customer, cause error) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.until == nil {
		l.until = map[int64]time.Time{}
	}
	l.until[customer.ID] = time.Now().Add(lockedWait)
	return customerLocked(customer, cause)
}

// check returns an error while a customer is known to be locked.
func (l *lockedCustomers) check(customer billing.Customer) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	until, locked := l.until[customer.ID]
	switch {
	case !locked:
		return nil
	case time.Now().After(until):
		delete(l.until, customer.ID)
		return nil
	}
	return customerLocked(customer, nil)
}

func customerLocked(customer billing.Customer, cause error) error {
	err := blocked(fmt.Sprintf("customer %s is locked by another transaction; the customer's flights wait until that ends", customer.Code), cause)
	err.Public = "the flight's customer is locked by another transaction; the customer's flights wait until that ends"
	return err
}

func flightLocked(a *attempt, cause error) error {
	return blocked(fmt.Sprintf("flight %s waits for another transaction, which has locked something of it", a.flightID), cause)
}

func blocked(message string, cause error) *billing.Error {
	return &billing.Error{Kind: billing.Blocked, Reason: billing.ReasonLocked, Err: cause, Message: message + " (pg_stat_activity shows it)"}
}
