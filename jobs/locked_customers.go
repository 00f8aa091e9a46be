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

// pauses keeps, by id, until when a customer or a webhook is to be left alone.
type pauses struct {
	mu    sync.Mutex
	until map[int64]time.Time
}

func (p *pauses) begin(id int64, until time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.until == nil {
		p.until = map[int64]time.Time{}
	}
	p.until[id] = until
}

// left is how much of a pause is left; 0 or less where it is over, or there was none.
func (p *pauses) left(id int64, now time.Time) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	left := p.until[id].Sub(now)
	if left <= 0 {
		delete(p.until, id)
	}
	return left
}

// lockedCustomers are those whom somebody's open transaction has locked.
type lockedCustomers struct{ pauses }

func (l *lockedCustomers) note(customer billing.Customer, cause error) error {
	l.begin(customer.ID, time.Now().Add(lockedWait))
	return customerLocked(customer, cause)
}

// check returns an error while a customer is known to be locked.
func (l *lockedCustomers) check(customer billing.Customer) error {
	if l.left(customer.ID, time.Now()) > 0 {
		return customerLocked(customer, nil)
	}
	return nil
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
