// Package api is lonja.v1, the interface of a directory for those who speak to
// it over TLS: its messages, generated from proto/lonja/v1 by scripts/generate,
// and what they are in the words of the root package.
//
// It moves no message: package frames and package apiconnect do. The client
// and the server of the interface use it.
package api
