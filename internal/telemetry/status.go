package telemetry

import "lonja"

// statusOK is the status of what went well.
const statusOK = "ok"

// statusNames are the kinds as labels. Dashboards and alerts know them: they
// never change.
var statusNames = map[lonja.Kind]string{
	lonja.Internal:         "internal",
	lonja.Invalid:          "invalid",
	lonja.NoSuchUser:       "no_such_user",
	lonja.NameInUse:        "name_in_use",
	lonja.AlreadyConnected: "already_connected",
	lonja.NotConnected:     "not_connected",
	lonja.AlreadyPublished: "already_published",
	lonja.NotPublished:     "not_published",
	lonja.NoSuchOwner:      "no_such_owner",
	lonja.NoHolder:         "no_holder",
	lonja.NoSuchFile:       "no_such_file",
	lonja.Unavailable:      "unavailable",
	lonja.Refused:          "refused",
	lonja.Malformed:        "malformed",
	lonja.Disagreement:     "disagreement",
	lonja.LocalFile:        "local_file",
	lonja.Canceled:         "canceled",
	lonja.NodeInUse:        "node_in_use",
	lonja.Conflict:         "conflict",
	lonja.Damaged:          "damaged",
	lonja.Limited:          "limited",
	lonja.OtherKey:         "other_key",
	lonja.Forbidden:        "forbidden",
	lonja.Untrusted:        "untrusted",
	lonja.TakenOver:        "taken_over",
}
