-- A Wireshark dissector for the classic lonja protocol: "lonja" for what
-- clients and directory say to each other, "lonja_peer" for the transfers
-- between clients. Both share the fields, which all begin with "lonja.".
--
-- It is one file, because Wireshark loads single files, and needs nothing newer
-- than Wireshark 4.0 (Lua 5.2). How to install and use it stands in
-- docs/wire.md, what it dissects in docs/protocol.md.
--
-- How it works. A connection carries one request and one answer, and the
-- client speaks first. Both may come byte by byte, so a message that is not
-- whole asks TCP for one more segment; the frame that completes it shows all
-- of it. What an answer means depends on the request, so the operation is kept
-- for each TCP stream. Wireshark dissects every frame once in order, and later
-- again in any order: only the first time (pinfo.visited is false) changes
-- what is kept. A message that the end of its connection cuts short is shown
-- in the frame with the FIN or RST, which only a postdissector gets to see.

local lonja = Proto("lonja", "Lonja Directory Protocol")
local lonja_peer = Proto("lonja_peer", "Lonja Peer Protocol")
local lonja_end = Proto("lonja_end", "Lonja, Ends of Connections")

-- Bounds of what is reassembled and shown. A request within the protocol's
-- limits has at most 2200 bytes.
local MAX_REQUEST = 4096
local MAX_LIST = 1024 * 1024
local MAX_ENTRIES = 20000
local MAX_COUNT = 20 -- bytes of the number of entries
local MAX_DIGITS = 19 -- of a size announced before the content

-- Fields ---------------------------------------------------------------------

local f = {
  operation = ProtoField.string("lonja.operation", "Operation"),
  timestamp = ProtoField.string("lonja.timestamp", "Timestamp"),
  user = ProtoField.string("lonja.user", "User"),
  port = ProtoField.uint32("lonja.port", "Port"),
  path = ProtoField.string("lonja.path", "Path"),
  description = ProtoField.string("lonja.description", "Description"),
  owner = ProtoField.string("lonja.owner", "Owner"),
  words = ProtoField.string("lonja.words", "Words"),
  base = ProtoField.string("lonja.base", "Base name"),
  extension = ProtoField.string("lonja.extension", "Extension"),
  least_size = ProtoField.uint64("lonja.least_size", "Least size"),
  largest_size = ProtoField.uint64("lonja.largest_size", "Largest size"),
  online_only = ProtoField.uint32("lonja.online_only", "Online only"),
  limit = ProtoField.uint32("lonja.limit", "Most results"),
  cursor = ProtoField.string("lonja.cursor", "Cursor"),
  slice = ProtoField.uint32("lonja.slice", "Slice"),
  total = ProtoField.uint32("lonja.total", "Slices in all"),
  status = ProtoField.uint8("lonja.status", "Status"),
  status_text = ProtoField.string("lonja.status_text", "Status in words"),
  count = ProtoField.uint32("lonja.count", "Count"),
  list_entry = ProtoField.none("lonja.list.entry", "Entry"),
  list_user = ProtoField.string("lonja.list.user", "User"),
  list_ip = ProtoField.string("lonja.list.ip", "IP"),
  list_port = ProtoField.uint32("lonja.list.port", "Port"),
  list_path = ProtoField.string("lonja.list.path", "Path"),
  list_description = ProtoField.string("lonja.list.description", "Description"),
  list_size = ProtoField.uint64("lonja.list.size", "Size"),
  list_online = ProtoField.uint32("lonja.list.online", "Connected holders"),
  list_holders = ProtoField.uint32("lonja.list.holders", "Holders"),
  next_cursor = ProtoField.string("lonja.next_cursor", "Cursor of the next page"),
  announced_size = ProtoField.uint64("lonja.announced_size", "Announced size"),
  content = ProtoField.bytes("lonja.content", "Content"),
  content_length = ProtoField.uint32("lonja.content.length", "Content length"),
  extra = ProtoField.bytes("lonja.extra", "Bytes without a meaning"),
  request_in = ProtoField.framenum("lonja.request_in", "Request in frame",
    base.NONE, frametype.REQUEST),
  answer_in = ProtoField.framenum("lonja.answer_in", "Answer in frame",
    base.NONE, frametype.RESPONSE),
  time = ProtoField.relative_time("lonja.time", "Time since the request"),
}
lonja.fields = f

local function expert_field(name, text, group, severity)
  return ProtoExpert.new("lonja." .. name, text, group, severity)
end

local e = {
  cut_short = expert_field("cut_short", "The message is cut short",
    expert.group.MALFORMED, expert.severity.ERROR),
  no_status = expert_field("no_status", "Closed without a status",
    expert.group.MALFORMED, expert.severity.ERROR),
  malformed = expert_field("malformed", "Not of the protocol's form",
    expert.group.MALFORMED, expert.severity.ERROR),
  limit = expert_field("limit", "Outside the protocol's limits",
    expert.group.PROTOCOL, expert.severity.WARN),
  unknown_operation = expert_field("unknown_operation", "Unknown operation",
    expert.group.PROTOCOL, expert.severity.WARN),
  unexpected = expert_field("unexpected", "Bytes after the end of the message",
    expert.group.PROTOCOL, expert.severity.WARN),
  broken_off = expert_field("broken_off", "The transfer was broken off by a reset",
    expert.group.SEQUENCE, expert.severity.WARN),
  refused = expert_field("refused", "The operation failed",
    expert.group.RESPONSE_CODE, expert.severity.NOTE),
}
lonja.experts = e

-- Grammar --------------------------------------------------------------------

-- A term says what a string in a message is: its field, and the least and most
-- that it may be: bytes for a text, the value for a decimal number.
local function text(field, label, least, most, no_blank)
  return { field = field, label = label, least = least, most = most, no_blank = no_blank }
end

local function number(field, label, least, most)
  return { field = field, label = label, least = least, most = most, number = true }
end

-- A number that may be empty, which says nothing.
local function optional(term)
  term.optional = true
  return term
end

local MAX_UINT32, MAX_SIZE = 4294967295, 9223372036854775807

-- A size takes more digits than other numbers.
local function size(field, label)
  local term = optional(number(field, label, 0, MAX_SIZE))
  term.wide = true
  return term
end

local OPERATION = text(f.operation, "operation", 1, 63)
local TIMESTAMP = text(f.timestamp, "timestamp", 0, 63)
local USER = text(f.user, "user", 1, 255)
local PATH = text(f.path, "path", 1, 255, true)

-- The words for the status bytes of an operation: 0 is "done", the given ones
-- count from 1, the last one is always "other error".
local function statuses(...)
  local words = { ... }
  words[#words + 1] = "other error"
  words[0] = "done"
  return words
end

local function directory_operation(terms, words, list)
  table.insert(terms, 1, OPERATION)
  table.insert(terms, 2, TIMESTAMP)
  table.insert(terms, 3, USER)
  return { proto = lonja, terms = terms, statuses = words, list = list }
end

local function peer_operation(terms, announces_size)
  table.insert(terms, 1, OPERATION)
  return {
    proto = lonja_peer, terms = terms, statuses = statuses("no such file"),
    content = true, announces_size = announces_size,
  }
end

local LIST_USER = text(f.list_user, "user", 1, 255)
local LIST_IP = text(f.list_ip, "ip", 1, 255)
local LIST_PORT = number(f.list_port, "port", 1024, 65535)
local LIST_PATH = text(f.list_path, "path", 1, 255, true)

local WORDS = text(f.words, "words", 0, 255)
local CURSOR = text(f.cursor, "cursor", 0, 1024)

local SEARCH = {
  WORDS, text(f.base, "base", 0, 255, true), text(f.extension, "extension", 0, 255),
  size(f.least_size, "least size"), size(f.largest_size, "largest size"),
  text(f.owner, "owner", 0, 255), optional(number(f.online_only, "online", 0, 1)),
  optional(number(f.limit, "limit", 0, 1000)), CURSOR,
}

-- A directory that does not know SEARCH answers it with 2, so its own begin
-- behind that.
local SEARCH_STATUSES = {
  [0] = "done", "cannot search", "cannot search", "no such user", "not connected", "other error",
}

local FOUND = {
  LIST_USER, LIST_PATH, text(f.list_description, "description", 0, 255),
  size(f.list_size, "size"), number(f.list_online, "number of connected holders", 0, MAX_UINT32),
  number(f.list_holders, "number of holders", 0, MAX_UINT32),
}

local DIRECTORY = {
  REGISTER = directory_operation({}, statuses("name in use")),
  UNREGISTER = directory_operation({}, statuses("no such user")),
  CONNECT = directory_operation({ number(f.port, "port", 1024, 65535) },
    statuses("no such user", "already connected")),
  DISCONNECT = directory_operation({}, statuses("no such user", "not connected")),
  PUBLISH = directory_operation({ PATH, text(f.description, "description", 0, 255) },
    statuses("no such user", "not connected", "already published")),
  DELETE = directory_operation({ PATH },
    statuses("no such user", "not connected", "not published")),
  LIST_USERS = directory_operation({}, statuses("no such user", "not connected"),
    { noun = "User", entry = { LIST_USER, LIST_IP, LIST_PORT } }),
  LIST_CONTENT = directory_operation({ text(f.owner, "owner", 1, 255) },
    statuses("no such user", "not connected", "owner does not exist"),
    { noun = "File", entry = { LIST_PATH } }),
  GET_MULTIFILE = directory_operation({ PATH }, statuses("no connected user has that file"),
    { noun = "Holder", entry = { LIST_IP, LIST_PORT, LIST_PATH }, count_is_byte = true }),
  SEARCH = directory_operation(SEARCH, SEARCH_STATUSES,
    { noun = "Result", entry = FOUND, tail = text(f.next_cursor, "cursor", 0, 1024) }),
}

local PEER = {
  GET_FILE = peer_operation({ PATH }, true),
  GET_MULTIFILE = peer_operation({
    PATH, number(f.slice, "slice", 0, 254), number(f.total, "number of slices", 1, 255),
  }),
}

local MAX_TERMS = 12

-- A request whose first string names no operation. What else it may hold
-- nobody knows.
local UNKNOWN = {
  proto = lonja, terms = { OPERATION }, unknown = true,
  statuses = { [2] = "other error" },
}

-- An answer whose request the capture has not.
local UNSEEN = { proto = lonja, terms = {}, unseen = true, statuses = {} }

-- GET_MULTIFILE is an operation of the directory and a request to a peer, with
-- four strings each: the peer's ends with two numbers where the directory's
-- has user and path, and has no time-stamp.
local function is_slice_request(pieces)
  local second, third, fourth = pieces[2], pieces[3], pieces[4]
  return fourth ~= nil and third.value:find("^%d+$") and fourth.value:find("^%d+$")
    and not second.value:find("^%d%d/%d%d/%d%d%d%d ")
end

-- The grammar of a request, from its strings so far.
local function grammar_of(pieces, forced_peer)
  local name = pieces[1].value
  local directory, peer = DIRECTORY[name], PEER[name]
  if directory and peer then
    return (forced_peer or is_slice_request(pieces)) and peer or directory
  end
  return directory or peer or UNKNOWN
end

-- Strings --------------------------------------------------------------------

local REPLACEMENT = "\239\191\189" -- U+FFFD

-- What UTF-8 characters look like; a lone byte that fits none is not one.
local CHARACTERS = {
  "^[\32-\126]+", "^[\194-\223][\128-\191]", "^[\224-\239][\128-\191][\128-\191]",
  "^[\240-\244][\128-\191][\128-\191][\128-\191]",
}

-- Those that are not shown: C1 controls, marks and overrides of the direction,
-- line separators, surrogates, and overlong forms.
local HIDDEN = {
  "^\194[\128-\159]", "^\226\128[\142\143\168-\174]", "^\226\129[\166-\169]",
  "^\237[\160-\191]", "^\224[\128-\159]", "^\240[\128-\143]",
}

local function match_any(patterns, bytes, from)
  for _, pattern in ipairs(patterns) do
    local found = bytes:match(pattern, from)
    if found then
      return found
    end
  end
  return nil
end

-- Bytes as text for the Info column, without anything that a terminal could
-- take for a command. (TvbRange:string() would cut what it has to replace.)
local function printable(bytes)
  local shown, from = {}, 1
  while from <= #bytes do
    local character = match_any(CHARACTERS, bytes, from)
    shown[#shown + 1] = character and not match_any(HIDDEN, character, 1) and character or REPLACEMENT
    from = from + (character and #character or 1)
  end
  return table.concat(shown)
end

-- Cuts bytes at their NULs into at most wanted pieces: { at = offset in the
-- buffer, size = bytes with the NUL, value = bytes without }. base is the
-- offset of bytes in the buffer. A last piece without its NUL is given apart,
-- as open. The second result is the offset behind the last whole piece.
local function split(bytes, base, wanted)
  local pieces, from = {}, 1
  while #pieces < wanted do
    local nul = bytes:find("\0", from, true)
    if not nul then
      break
    end
    pieces[#pieces + 1] = {
      at = base + from - 1, size = nul - from + 1, value = bytes:sub(from, nul - 1),
    }
    from = nul + 1
  end
  if #pieces < wanted and from <= #bytes then
    pieces.open = { at = base + from - 1, size = #bytes - from + 1, value = bytes:sub(from) }
  end
  return pieces, base + from - 1
end

local function check_text(item, piece, term)
  local length = #piece.value
  if length < term.least then
    item:add_proto_expert_info(e.limit, "The " .. term.label .. " is empty")
  elseif length > term.most then
    item:add_proto_expert_info(e.limit,
      ("The %s has %d bytes, at most %d are allowed"):format(term.label, length, term.most))
  end
  if term.no_blank and piece.value:find("%s") then
    item:add_proto_expert_info(e.limit, "The " .. term.label .. " has a blank in it")
  end
end

local function add_number(tree, tvb, piece, term)
  if term.optional and piece.value == "" then
    return
  end
  local range = tvb(piece.at, piece.size)
  if not piece.value:find("^%d+$") or #piece.value > (term.wide and MAX_DIGITS or 9) then
    local item = tree:add(range, ("The %s is not a number"):format(term.label))
    item:add_proto_expert_info(e.malformed, ("The %s is not a number"):format(term.label))
    return
  end
  local value = tonumber(piece.value)
  local item = tree:add(term.field, range, term.wide and UInt64.new(value) or value)
  if value < term.least or value > term.most then
    item:add_proto_expert_info(e.limit, ("The %s is %d, allowed are %d to %d"):format(
      term.label, value, term.least, term.most))
  end
end

local function add_piece(tree, tvb, piece, term)
  if term.number then
    return add_number(tree, tvb, piece, term)
  end
  local item = tree:add_packet_field(term.field, tvb(piece.at, #piece.value), ENC_UTF_8)
  check_text(item, piece, term)
end

-- Streams --------------------------------------------------------------------

-- What is kept of each TCP stream, by its number; false for one that is not
-- ours. A message keeps the frame that completed it (done) and, until then,
-- its bytes so far (partial).
local streams = {}

local tcp_stream = Field.new("tcp.stream")
local tcp_fin = Field.new("tcp.flags.fin")
local tcp_reset = Field.new("tcp.flags.reset")

local function endpoint(address, port)
  return tostring(address) .. " " .. port
end

local function new_stream(client, forced_peer)
  local stream = {
    client = client, forced_peer = forced_peer, grammar = UNSEEN, name = "unknown",
    request = {}, answer = {}, content = {}, ends = {},
  }
  streams[tcp_stream().value] = stream
  return stream
end

local function from_client(pinfo, stream)
  return endpoint(pinfo.src, pinfo.src_port) == stream.client
end

local function settle(pinfo, message)
  if not pinfo.visited and not message.done then
    message.done = pinfo.number
    message.time = pinfo.rel_ts
    message.partial = nil
  end
end

-- Whether a frame comes behind the one that completed the message.
local function is_behind(pinfo, message)
  return message.done ~= nil and pinfo.number > message.done
end

-- Keeps the bytes of a message so far. Only what is new is copied: a list of
-- thousands of users may come byte by byte.
local function keep(message, tvb, offset)
  local kept = message.partial and message.partial:len() or 0
  if kept == 0 then
    message.partial = tvb:bytes(offset)
  elseif offset + kept < tvb:len() then
    message.partial:append(tvb:bytes(offset + kept))
  end
end

-- Asks TCP for one more segment, from offset on, and keeps what is there for
-- the case that none comes. False when TCP does not reassemble: then what is
-- there is all there will be.
local function wait(tvb, pinfo, message, offset)
  if pinfo.can_desegment == 0 then
    return false
  end
  if not pinfo.visited then
    keep(message, tvb, offset)
  end
  pinfo.desegment_offset = offset
  pinfo.desegment_len = DESEGMENT_ONE_MORE_SEGMENT
  return true
end

local function add_root(tree, tvb, pinfo, grammar, title)
  pinfo.cols.protocol = grammar.proto == lonja and "LONJA" or "LONJA-PEER"
  return tree:add(grammar.proto, tvb(), grammar.proto.description .. ", " .. title)
end

-- Says that a message did not come whole, or not within what is reassembled.
local function add_cut_short(root, what, came, wanted)
  root:add_proto_expert_info(e.cut_short,
    ("The %s is cut short or too long: %.0f of %.0f strings"):format(what, came, wanted))
end

-- Shows what stands behind the end of a message. Behind an unknown operation
-- and in an unseen conversation something has to be expected.
local function add_extra(root, tvb, offset, grammar)
  if offset < tvb:len() then
    local item = root:add(f.extra, tvb(offset))
    if not grammar.unknown and not grammar.unseen then
      item:add_proto_expert_info(e.unexpected)
    end
  end
end

local function counted_noun(count, noun)
  return ("%.0f %s%s"):format(count, noun, count == 1 and "" or "s")
end

-- Requests -------------------------------------------------------------------

-- What a title says of a string: of what a SEARCH may leave out, only what it
-- does not.
local function title_of(grammar, term, value)
  if term == TIMESTAMP or term.field == f.description then
    return nil
  elseif grammar ~= DIRECTORY.SEARCH or term == OPERATION or term == USER or term == WORDS and value ~= "" then
    return printable(value)
  elseif value == "" or term.number and tonumber(value) == 0 then
    return nil
  elseif term == CURSOR then
    return "further page"
  end
  return term.label .. " " .. printable(value)
end

local function request_title(grammar, pieces)
  local words = {}
  for i, piece in ipairs(pieces) do
    words[#words + 1] = title_of(grammar, grammar.terms[i], piece.value)
  end
  if grammar == PEER.GET_MULTIFILE and #pieces == #grammar.terms then
    words[3] = "slice " .. words[3] .. " of"
  end
  return table.concat(words, " ")
end

local function check_slice(root, grammar, pieces)
  if grammar == PEER.GET_MULTIFILE and pieces[4] then
    local slice, total = tonumber(pieces[3].value), tonumber(pieces[4].value)
    if slice and total and slice >= total then
      root:add_proto_expert_info(e.limit, "Slices are counted from 0: there is none of that number")
    end
  end
end

local function show_request(tvb, pinfo, tree, grammar, pieces)
  local title = request_title(grammar, pieces)
  local root = add_root(tree, tvb, pinfo, grammar, "request")
  for i, piece in ipairs(pieces) do
    add_piece(root, tvb, piece, grammar.terms[i])
  end
  if pieces.open then
    add_piece(root, tvb, pieces.open, grammar.terms[#pieces + 1])
  end
  if grammar.unknown and #pieces > 0 then
    root:add_proto_expert_info(e.unknown_operation)
  end
  check_slice(root, grammar, pieces)
  if #pieces < #grammar.terms then
    add_cut_short(root, "request", #pieces, #grammar.terms)
    title = (title == "" and "unnamed" or title) .. " [request cut short]"
  end
  pinfo.cols.info = title
  return root
end

-- Dissects a request from its first byte on. ended: no more will come, so that
-- what is there is shown as it is; here and below.
local function dissect_request(tvb, pinfo, tree, stream, ended)
  local bytes = tvb:raw(0, math.min(tvb:len(), MAX_REQUEST))
  local pieces, size = split(bytes, 0, 1)
  local grammar, name = UNKNOWN, "unknown"
  if #pieces > 0 then
    grammar = grammar_of(split(bytes, 0, MAX_TERMS), stream.forced_peer)
    pieces, size = split(bytes, 0, #grammar.terms)
    name = printable(pieces[1].value)
  end
  if not pinfo.visited then
    -- Now, because an answer may come before the request is whole.
    stream.grammar, stream.name = grammar, name
  end
  local whole = #pieces == #grammar.terms
  if not whole and not ended and tvb:len() < MAX_REQUEST and wait(tvb, pinfo, stream.request, 0) then
    return
  end
  if not ended then
    settle(pinfo, stream.request)
  end
  local root = show_request(tvb, pinfo, tree, grammar, pieces)
  if whole then
    add_extra(root, tvb, size, grammar)
  end
  if stream.answer.done then
    root:add(f.answer_in, stream.answer.done):set_generated()
  end
end

-- Answers --------------------------------------------------------------------

local function seconds(duration)
  local whole = math.floor(duration)
  return NSTime.new(whole, math.floor((duration - whole) * 1e9))
end

local function status_words(grammar, status)
  return grammar.statuses[status]
    or grammar.unseen and "the request was not captured"
    or "not a status of this operation"
end

local function add_status(root, tvb, pinfo, stream)
  local grammar = stream.grammar
  local status = tvb(0, 1):uint()
  local words = status_words(grammar, status)
  local item = root:add(f.status, tvb(0, 1)):append_text(" (" .. words .. ")")
  root:add(f.status_text, tvb(0, 1), words):set_generated()
  if not grammar.statuses[status] and not grammar.unseen then
    item:add_proto_expert_info(e.malformed, "Not a status of this operation")
  elseif status ~= 0 and not grammar.unseen then
    item:add_proto_expert_info(e.refused, "The operation failed: " .. words)
  end
  if stream.request.done then
    root:add(f.request_in, stream.request.done):set_generated()
    if stream.answer.time then
      root:add(f.time, seconds(stream.answer.time - stream.request.time)):set_generated()
    end
  end
  return ("%s answer: %d %s"):format(stream.name, status, words)
end

-- Reads the count of a list, which stands behind the status: { count, size =
-- its bytes }, { malformed } when it is no number, or nil when it is not whole.
local function read_count(tvb, list)
  if tvb:len() == 1 then
    return nil
  end
  if list.count_is_byte then
    return { count = tvb(1, 1):uint(), size = 1 }
  end
  local first = split(tvb:raw(1, math.min(tvb:len() - 1, MAX_COUNT)), 1, 1)[1]
  if not first then
    return tvb:len() > MAX_COUNT and { malformed = true } or nil
  elseif not first.value:find("^%d+$") then
    return { malformed = true }
  end
  return { count = tonumber(first.value), size = first.size }
end

-- How many strings a list of that many entries has.
local function strings_of(list, count)
  return count * #list.entry + (list.tail and 1 or 0)
end

-- Whether the list that a frame has part of is whole. Each call of the first
-- pass goes on where the one before left off, which answer.counted remembers.
local function list_is_whole(tvb, pinfo, stream)
  local answer, list = stream.answer, stream.grammar.list
  if answer.done or pinfo.visited then
    return not pinfo.visited or pinfo.number == answer.done
  end
  local counted = answer.counted
  if not counted then
    local head = read_count(tvb, list)
    if not head or head.malformed then
      return head ~= nil
    end
    counted = { left = strings_of(list, head.count), offset = 1 + head.size }
    answer.counted = counted
  end
  if counted.offset < tvb:len() then
    local pieces, offset = split(tvb:raw(counted.offset), counted.offset, counted.left)
    counted.left, counted.offset = counted.left - #pieces, offset
  end
  return counted.left == 0
end

local function add_entry(root, tvb, list, pieces, first, index)
  local last = pieces[first + #list.entry - 1] or pieces[#pieces]
  local entry = root:add(f.list_entry, tvb(pieces[first].at, last.at + last.size - pieces[first].at))
  local words = {}
  for i, term in ipairs(list.entry) do
    local piece = pieces[first + i - 1]
    if piece then
      add_piece(entry, tvb, piece, term)
      words[#words + 1] = not (term.optional and piece.value == "") and printable(piece.value) or nil
    end
  end
  entry:set_text(("%s %d: %s"):format(list.noun, index, table.concat(words, " ")))
end

local function show_entries(root, tvb, list, pieces)
  local index = 0
  for first = 1, #pieces, #list.entry do
    index = index + 1
    if index > MAX_ENTRIES then
      root:add(tvb(pieces[first].at), "More entries, not shown")
      return
    end
    add_entry(root, tvb, list, pieces, first, index)
  end
end

-- Shows what there is of a list and returns a summary of it.
local function show_list(root, tvb, grammar)
  local list = grammar.list
  local head = read_count(tvb, list)
  if not head then
    add_cut_short(root, "answer", 0, 1)
    return " [answer cut short]"
  elseif head.malformed then
    root:add(f.extra, tvb(1)):add_proto_expert_info(e.malformed, "The count is not a number")
    return ", malformed list"
  end
  root:add(f.count, tvb(1, head.size), math.min(head.count, 4294967295))
  local start, wanted = 1 + head.size, strings_of(list, head.count)
  local pieces, size = {}, start
  if start < tvb:len() then
    pieces, size = split(tvb:raw(start), start, wanted)
  end
  local whole = #pieces == wanted
  local tail = whole and list.tail and table.remove(pieces)
  show_entries(root, tvb, list, pieces)
  if tail then
    add_piece(root, tvb, tail, list.tail)
  end
  local summary = ", " .. counted_noun(head.count, list.noun:lower())
  if not whole then
    add_cut_short(root, "answer", #pieces, wanted)
    return summary .. " [answer cut short]"
  end
  add_extra(root, tvb, size, grammar)
  return summary
end

-- Content goes on until the connection closes. It is not reassembled: each
-- segment shows its part. Only what may be a size announced before it, digits
-- and a NUL, is waited for. Returns whether that is so, at offset.
local function waits_for_size(tvb, pinfo, stream, offset, ended)
  local size = stream.content
  if not stream.grammar.announces_size or is_behind(pinfo, size) or offset == tvb:len() then
    return false
  end
  local head = tvb:raw(offset, math.min(tvb:len() - offset, MAX_DIGITS + 1))
  if head:find("^%d+$") and #head <= MAX_DIGITS and not ended and wait(tvb, pinfo, size, offset) then
    return true
  end
  if not ended then
    settle(pinfo, size)
  end
  return false
end

local function show_content(tvb, pinfo, root, stream, offset)
  local summary = ""
  if stream.grammar.announces_size and not is_behind(pinfo, stream.content) then
    local head = tvb:raw(offset, math.min(tvb:len() - offset, MAX_DIGITS + 1))
    local digits = head:match("^(%d+)\0")
    if digits then
      root:add(f.announced_size, tvb(offset, #digits + 1), UInt64.new(tonumber(digits)))
      offset = offset + #digits + 1
      summary = ", size " .. digits .. " announced"
    end
  end
  local length = tvb:len() - offset
  if length > 0 then
    root:add(f.content, tvb(offset))
    root:add(f.content_length, tvb(offset), length):set_generated()
  end
  return summary .. ", " .. counted_noun(length, "byte") .. " of content"
end

-- More of an answer whose status an earlier frame has.
local function dissect_more(tvb, pinfo, tree, stream, ended)
  if stream.transfers and waits_for_size(tvb, pinfo, stream, 0, ended) then
    return
  end
  local root = add_root(tree, tvb, pinfo, stream.grammar, "answer")
  if stream.transfers then
    pinfo.cols.info = stream.name .. " answer" .. show_content(tvb, pinfo, root, stream, 0)
  else
    add_extra(root, tvb, 0, stream.grammar)
    pinfo.cols.info = "bytes after the " .. stream.name .. " answer"
  end
end

local function dissect_answer(tvb, pinfo, tree, stream, ended)
  if is_behind(pinfo, stream.answer) then
    return dissect_more(tvb, pinfo, tree, stream, ended)
  end
  local grammar, done = stream.grammar, tvb(0, 1):uint() == 0
  if done and grammar.list and not ended and tvb:len() < MAX_LIST
    and not list_is_whole(tvb, pinfo, stream) and wait(tvb, pinfo, stream.answer, 0) then
    return
  end
  if not ended then
    settle(pinfo, stream.answer)
  end
  local root = add_root(tree, tvb, pinfo, grammar, "answer")
  local info = add_status(root, tvb, pinfo, stream)
  if done and grammar.list then
    info = info .. show_list(root, tvb, grammar)
  elseif done and grammar.content then
    stream.transfers = true
    if tvb:len() > 1 and not waits_for_size(tvb, pinfo, stream, 1, ended) then
      info = info .. show_content(tvb, pinfo, root, stream, 1)
    end
  else
    add_extra(root, tvb, 1, grammar)
  end
  pinfo.cols.info = info
end

-- Entry points ---------------------------------------------------------------

local function dissect(tvb, pinfo, tree, stream)
  if not from_client(pinfo, stream) then
    dissect_answer(tvb, pinfo, tree, stream)
  elseif not is_behind(pinfo, stream.request) then
    dissect_request(tvb, pinfo, tree, stream)
  else
    local root = add_root(tree, tvb, pinfo, stream.grammar, "request")
    add_extra(root, tvb, 0, stream.grammar)
    pinfo.cols.info = "bytes after the " .. stream.name .. " request"
  end
end

local OPERATION_NAMES = {}
for _, operations in ipairs({ DIRECTORY, PEER }) do
  for name in pairs(operations) do
    OPERATION_NAMES[name] = true
  end
end

-- Whether bytes begin with an operation's name and its NUL; "maybe" when they
-- may still become that.
local function begins_request(bytes)
  local name = bytes:match("^([%u_]+)\0")
  if name then
    return OPERATION_NAMES[name] or false
  end
  for known in pairs(OPERATION_NAMES) do
    if known:sub(1, #bytes) == bytes then
      return "maybe"
    end
  end
  return false
end

local function head_of(tvb)
  return tvb:raw(0, math.min(tvb:len(), OPERATION.most + 1))
end

-- Dissects a stream that is ours because of its port or of "Decode As".
local function dissect_given(tvb, pinfo, tree, forced_peer)
  local stream = streams[tcp_stream().value]
  if not stream then
    local source = endpoint(pinfo.src, pinfo.src_port)
    local is_client = begins_request(head_of(tvb)) or pinfo.match_uint ~= pinfo.src_port
    local client = is_client and source or endpoint(pinfo.dst, pinfo.dst_port)
    stream = new_stream(client, forced_peer)
  end
  dissect(tvb, pinfo, tree, stream)
  return tvb:len()
end

function lonja.dissector(tvb, pinfo, tree)
  return dissect_given(tvb, pinfo, tree, false)
end

function lonja_peer.dissector(tvb, pinfo, tree)
  return dissect_given(tvb, pinfo, tree, true)
end

-- Finds the protocol on any port, by the name of an operation at the beginning
-- of a stream.
local function heuristic(tvb, pinfo, tree)
  local id = tcp_stream().value
  local stream = streams[id]
  if stream == nil then
    local begins = begins_request(head_of(tvb))
    if begins == "maybe" then
      pinfo.desegment_offset = 0
      pinfo.desegment_len = DESEGMENT_ONE_MORE_SEGMENT
      return true
    end
    stream = begins and new_stream(endpoint(pinfo.src, pinfo.src_port), false)
    streams[id] = stream
    if stream then
      pinfo.conversation = lonja
    end
  end
  if not stream then
    return false
  end
  dissect(tvb, pinfo, tree, stream)
  return true
end

local function end_client(pinfo, tree, stream)
  if stream.request.partial then
    dissect_request(stream.request.partial:tvb("Cut short"), pinfo, tree, stream, true)
  end
end

local function end_server(pinfo, tree, stream)
  if stream.answer.partial then
    dissect_answer(stream.answer.partial:tvb("Cut short"), pinfo, tree, stream, true)
  elseif not stream.answer.done then
    local root = tree:add(stream.grammar.proto, "Closed without a status")
    root:add_proto_expert_info(e.no_status)
    pinfo.cols.info:append(" [closed without a status]")
  elseif stream.content.partial then
    dissect_more(stream.content.partial:tvb("Content"), pinfo, tree, stream, true)
  end
end

-- Shows, at the end of each direction of a stream, what was still waited for.
function lonja_end.dissector(_, pinfo, tree)
  local fin, reset = tcp_fin(), tcp_reset()
  if not fin or not (fin.value or reset.value) then
    return
  end
  local stream = streams[tcp_stream().value]
  if not stream then
    return
  end
  local side = from_client(pinfo, stream) and "client" or "server"
  if not pinfo.visited and not stream.ends[side] then
    stream.ends[side] = pinfo.number
  end
  if stream.ends[side] ~= pinfo.number then
    return
  end
  if side == "client" then
    end_client(pinfo, tree, stream)
  else
    end_server(pinfo, tree, stream)
  end
  local server_done = stream.ends.server and stream.ends.server < pinfo.number
  if reset.value and stream.transfers and not server_done then
    tree:add(stream.grammar.proto, "Broken off"):add_proto_expert_info(e.broken_off)
    pinfo.cols.info:append(" [transfer broken off]")
  end
end

-- Registration ---------------------------------------------------------------

function lonja.init()
  streams = {}
end

local tcp_ports = DissectorTable.get("tcp.port")
local registered = "4444"

lonja.prefs.ports = Pref.range("Directory TCP ports", registered,
  "Ports of directories. Any other port is found by the first request on it.", 65535)

function lonja.prefs_changed()
  tcp_ports:remove(registered, lonja)
  registered = lonja.prefs.ports
  tcp_ports:add(registered, lonja)
end

tcp_ports:add(registered, lonja)
tcp_ports:add_for_decode_as(lonja_peer)
lonja:register_heuristic("tcp", heuristic)
register_postdissector(lonja_end)
