package faults_test

import (
	"context"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// facts are a flight's as a flight source has them. They follow from the flight's id, its
// landing and the version: each version is another, and from version 1 on all are good.
type facts struct {
	absent      bool // from the source
	operator    string
	aircraft    string
	mass        int64 // kg; 0: not there
	origin      string
	destination string
	landed      time.Time // zero: not landed
	hectometres int64     // of distance
	passengers  int64
}

var (
	operators    = []string{"MON", "MON", "SUN", "WED", "EACH", "EACH", "HELD", "KM", "OWN"}
	origins      = []string{"EIDW", "LFPG", "KJFK"}
	destinations = []string{"EGLL", "EHAM", "RJTT", "LFPG"}
)

func factsOf(seed uint64, id string, landed time.Time, version int) facts {
	hash := fnv.New64a()
	fmt.Fprintf(hash, "%s/%d", id, version)
	r := rand.New(rand.NewPCG(seed, hash.Sum64()))
	f := facts{
		operator: pick(r, operators), mass: 1_000 + r.Int64N(400_000), origin: pick(r, origins), destination: pick(r, destinations),
		landed: landed, hectometres: 1 + r.Int64N(120_000), passengers: 1 + r.Int64N(500),
	}
	if r.IntN(4) == 0 {
		f.aircraft = "N-OWN1" // of customer OWN, whatever the operator
	}
	if version > 0 {
		return f
	}
	switch r.IntN(40) {
	case 0:
		f.absent = true
	case 1:
		f.landed = time.Time{}
	case 2:
		f.mass = 0
	case 3:
		f.operator, f.aircraft = "NOBODY", ""
	}
	return f
}

// refused is why a flight with these facts is not billed; empty where it is.
func (f facts) refused() string {
	switch {
	case f.absent:
		return "flight_unknown"
	case f.landed.IsZero():
		return "not_landed"
	case f.operator == "NOBODY":
		return "no_customer"
	case f.mass == 0:
		return "missing_fact"
	}
	return ""
}

func pick[T any](r *rand.Rand, all []T) T { return all[r.IntN(len(all))] }

// flights are all that there ever were: the truth that the flight source shows.
type flights struct {
	seed    uint64
	inTable bool // the source is the table flights

	mu  sync.Mutex
	all map[string]*flight
}

type flight struct {
	landed  time.Time
	version int
}

func (s *flights) add(id string, landed time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all[id] = &flight{landed: landed}
}

// get returns a flight's facts as they are now.
func (s *flights) get(id string) (facts, int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f := s.all[id]
	if f == nil {
		return facts{absent: true}, 0
	}
	return factsOf(s.seed, id, f.landed, f.version), f.version
}

// at returns what a flight's facts were.
func (s *flights) at(id string, version int) facts {
	s.mu.Lock()
	defer s.mu.Unlock()
	return factsOf(s.seed, id, s.all[id].landed, version)
}

// everRefused reports whether a flight was to be refused for a reason, up to a version of its facts.
func (s *flights) everRefused(id string, version int, why string) bool {
	for ; version >= 0; version-- {
		if s.at(id, version).refused() == why {
			return true
		}
	}
	return false
}

func (s *flights) some(limit int) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var ids []string
	for id := range s.all {
		if ids = append(ids, id); len(ids) == limit {
			break
		}
	}
	return ids
}

// change gives a flight its next facts.
func (s *flights) change(ctx context.Context, db executor, id string) (version int, err error) {
	s.mu.Lock()
	landed, version := s.all[id].landed, s.all[id].version+1
	s.mu.Unlock()
	for began := time.Now(); ; time.Sleep(500 * time.Millisecond) {
		if err = s.write(ctx, db, id, factsOf(s.seed, id, landed, version)); err == nil {
			break
		}
		if time.Since(began) > 2*time.Minute { // before, again: one that failed may have been committed
			return 0, err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all[id].version = max(s.all[id].version, version)
	return version, nil
}

type executor interface {
	Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error)
}

var _ executor = (pgx.Tx)(nil)

// write brings the table flights up to date, where that is the source.
func (s *flights) write(ctx context.Context, db executor, id string, f facts) error {
	if !s.inTable || f.absent {
		return nil
	}
	orNull := func(there bool, v any) any {
		if there {
			return v
		}
		return nil
	}
	_, err := db.Exec(ctx, `
		INSERT INTO flightbill.flights (flight_id, operator, registration, mtow_kg, origin, destination, landed_at, distance_km, passengers)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8::bigint / 10.0, $9)
		ON CONFLICT (flight_id) DO UPDATE SET operator = excluded.operator, registration = excluded.registration, mtow_kg = excluded.mtow_kg,
			origin = excluded.origin, destination = excluded.destination, landed_at = excluded.landed_at, distance_km = excluded.distance_km, passengers = excluded.passengers`,
		id, f.operator, orNull(f.aircraft != "", f.aircraft), orNull(f.mass > 0, f.mass), f.origin, f.destination, orNull(!f.landed.IsZero(), f.landed), f.hectometres, f.passengers)
	return err
}
