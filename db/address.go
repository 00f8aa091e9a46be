package db

import (
	"errors"
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5/pgxpool"
)

var (
	hostName      = regexp.MustCompile(`^[\pL\pN._-]+$`)
	parameterName = regexp.MustCompile(`^[A-Za-z0-9_.$]+$`)
	// Parameters of a URL in whose values an @ may stand as it is. Of one with another name,
	// the name may be a part of the password.
	mayHaveAt = regexp.MustCompile(`^(user|password|application_name)=[^@]*@[^@]*$`)
)

// addressFaults are what pgx objects to, in its words and in ours. Its own text repeats
// what it could not read, and that may be a part of the password.
var addressFaults = []struct{ theirs, ours string }{
	{"extra key/value separator", "a = inside a parameter's value is written %3D, an & %26"},
	{"missing key/value separator", "a parameter is not name=value"},
	{"missing \"=\"", "it is not name=value, separated by blanks; a value with a blank or a quote in it is written in single quotes"},
	{"NUL byte", "it has a NUL byte"},
	{"invalid port", "a port is not a number from 1 to 65535"},
	{"port numbers to", "there are not as many ports as hosts"},
	{"unterminated quoted string", "a quote is not closed"},
	{"invalid keyword/value", "it is not name=value, separated by blanks; a value with a blank or a quote in it is written in single quotes"},
	{"unexpected spaces", "a blank in it is not written as %20"},
	{"percent-encoded", "a % is not followed by two hexadecimal digits"},
	{"IPv6 host", "a [ is not closed, or nothing is in it"},
	{"unexpected character", "after ] comes neither a port nor a /"},
	{"failed to read service", "its service cannot be read: see PGSERVICE and PGSERVICEFILE"},
	{"failed to configure TLS", "sslmode, sslrootcert, sslcert, sslkey or sslpassword is wrong, or a file that they name cannot be read"},
	{"connect_timeout", "connect_timeout is not a number of seconds"},
	{"target_session_attrs", "target_session_attrs is not one of any, read-write, read-only, primary, standby, prefer-standby"},
	{"channel_binding", "channel_binding is not one of disable, prefer, require"},
	{"require_auth", "require_auth is no list of ways to log in"},
	{"protocol_version", "min_protocol_version or max_protocol_version is no version, or the first is more than the second"},
	{"pool_", "a parameter pool_… has a value that cannot be read, or that cannot be"},
	{"_cache_capacity", "statement_cache_capacity or description_cache_capacity is not a number"},
	{"default_query_exec_mode", "default_query_exec_mode is not one of cache_statement, cache_describe, describe_exec, exec, simple_protocol"},
}

// parseAddress reads a URL or a keyword string. Its errors repeat nothing of it.
func parseAddress(address string) (*pgxpool.Config, error) {
	address = strings.TrimSpace(address)
	config, err := pgxpool.ParseConfig(address)
	if err == nil {
		err = misread(address, config)
	} else {
		fault := "it cannot be read"
		_, theirs, _ := strings.Cut(err.Error(), "`: ") // behind the address
		for _, f := range addressFaults {
			if strings.Contains(theirs, f.theirs) {
				fault = f.ours
				break
			}
		}
		err = errors.New(fault)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w; write it as postgres://user:password@host:5432/database, and in the user and the password "+
			"%%40 for @, %%3A for a colon, %%2F for /, %%3F for ?, %%23 for #, %%25 for %%, %%20 for a blank", ErrAddress, err)
	}
	return config, nil
}

// misread reports an address that pgx can read and that means another: a part of the
// password has become a host, a database or a parameter, which errors name.
func misread(address string, config *pgxpool.Config) error {
	scheme, rest, isURL := strings.Cut(address, "://")
	if isURL && scheme != "postgres" && scheme != "postgresql" && !strings.ContainsAny(scheme, "= ") {
		return errors.New("it begins with neither postgres:// nor postgresql://")
	}
	connect := config.ConnConfig
	if strings.HasPrefix(address, "postgres") && isURL {
		if at := strings.IndexAny(rest, "@/"); at >= 0 && rest[at] == '@' {
			rest = rest[at+1:] // the user and the password are before it
		}
		place, parameters, _ := strings.Cut(rest, "?")
		if strings.Contains(place, "@") || slices.ContainsFunc(strings.Split(parameters, "&"), func(parameter string) bool {
			return strings.Contains(parameter, "@") && !mayHaveAt.MatchString(parameter)
		}) {
			return errors.New("it has more than one @, or one after a /")
		}
	}
	hosts := []string{connect.Host}
	for _, f := range connect.Fallbacks {
		hosts = append(hosts, f.Host)
	}
	if slices.ContainsFunc(hosts, func(host string) bool {
		_, err := netip.ParseAddr(host)
		return err != nil && !strings.HasPrefix(host, "/") && !hostName.MatchString(host)
	}) {
		return errors.New("a host has a character that none has")
	}
	if strings.Contains(connect.Database, "://") {
		return errors.New("the database's name is a URL")
	}
	for name := range connect.RuntimeParams {
		if !parameterName.MatchString(name) {
			return errors.New("a parameter has a name that none has")
		}
	}
	return nil
}
