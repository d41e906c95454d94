package datetime

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"lonja"
	"lonja/internal/soap"
)

// parseBase returns the URL of a service, given that or the one of its WSDL.
func parseBase(s string) (*url.URL, error) {
	u, err := url.Parse(s)
	if err != nil {
		return nil, err // names the URL already
	}
	if u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" {
		return nil, fmt.Errorf("%q is not of the form http://host:port", s)
	}
	if strings.EqualFold(u.RawQuery, "wsdl") {
		u.RawQuery = ""
	}
	if u.Path == "" {
		u.Path = "/"
	}
	u.Fragment = ""
	return u, nil
}

// learn reads the WSDL and returns the question to ask. A service that
// answers but does not describe itself is asked as ours would be. The error
// means that nobody answers.
func (c *Client) learn(ctx context.Context) (*question, error) {
	described := *c.base
	described.RawQuery = "wsdl"
	// pysimplesoap's own server knows no "?wsdl": it has the WSDL at the
	// URL where one POSTs.
	for _, at := range []*url.URL{&described, c.base} {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, at.String(), nil)
		if err != nil {
			return nil, lonja.E(lonja.Internal, "read the WSDL", err)
		}
		status, body, err := c.do(request, soap.MaxWSDL)
		if err != nil {
			return nil, err
		}
		if status != http.StatusOK {
			continue
		}
		if binding, err := soap.ParseWSDL(body, soap.Operation); err == nil {
			return c.questionFor(binding), nil
		}
	}
	return c.questionFor(soap.Datetime()), nil
}

// questionFor prepares the question that binding describes.
func (c *Client) questionFor(binding soap.Binding) *question {
	return &question{
		url:    c.locate(binding.Address),
		action: `"` + binding.Action + `"`,
		body:   soap.AppendRequest(nil, binding.Request("")),
	}
}

// locate returns the URL to POST to: the path that the service advertises, on
// the host and port that we were given. Those worked for the WSDL; the
// advertised ones often are "localhost" or were left as in an example. It also
// keeps a WSDL from sending us elsewhere.
func (c *Client) locate(address string) string {
	at, err := c.base.Parse(address)
	if err != nil || at.Path == "" {
		at = c.base
	}
	at = &url.URL{
		Scheme: c.base.Scheme, User: c.base.User, Host: c.base.Host,
		Path: at.Path, RawPath: at.RawPath, RawQuery: at.RawQuery,
	}
	return at.String()
}
