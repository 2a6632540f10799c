"""How models refuse in English; on casefolded sentences."""

COURTESY = (
    r"(?:(?:i'm|i am|we're|we are|so|very|really|truly) )*sorry\b(?! (?:looking|sight|state)|-)"
    r"(?: (?:to|for) [^,.!]*)?|(?:my |our |sincere )*apologies\b(?: for [^,.!]*)?"
    r"|(?:i|we) (?:\w+ )?apologi[sz]e\b(?: for [^,.!]*)?|(?:i|we) regret\b[^,.]{0,25} that\b"
    r"|thanks?\b(?: you)?(?: for [^,.!]*)?|(?:i'm|i am|we're|we are) afraid\b(?: that\b)?"
    r"|(?:unfortunately|regrettably|hello|hi|however|but|and)\b|error(?=:)"
)
"""What a refusal may open with."""

_PICTURE = r"(?:images?|pictures?|photos?|photographs?|attachments?|files?)"
_THING = rf"(?:{_PICTURE}|requests?|content|descriptions?|captions?|message)"
_PEOPLE = r"(?:people|faces?|persons?|individuals?|anyone|identit(?:y|ies))"
_ABOUT = (
    rf"\b(?:{_THING}|{_PEOPLE}|anything|scene|details|appearance|what|that|who|this|these|those|it|them"
    r")\b"
)
"""What an answer is about; `I can't describe` alone may be a title."""
_TELL = (
    r"\b(?:describ|identif|recogni[sz]|provid|process|comment|analy[sz]|tell\b|discuss|interpret|answer|caption"
    r"|complet|respond|help\b|helping)\w*"
)
_USE = (
    r"\b(?:view|load|see\b|seeing|look|access|open|read|find|generat|creat|mak[ei]|edit|produc|shar"
    r"|do\b)\w*"
)
_ALONE = r"\b(?:(?:help|assist)\w*(?= (?:with|in)\b|[,.]|$)|comply\w*|fulfil\w*)"
_OBJECT = rf"(?:{_ALONE}|{_TELL}[^.]{{0,60}}?{_ABOUT}|{_USE}[^.,]{{0,60}}?\b{_THING}\b)"
_NOT = (
    r"(?:can't|cannot|can not|could not|couldn't|won't|will not|do not|don't|may not|must not|shouldn't"
    r"|should not)"
)
_DENIED = (
    rf"(?:(?:i|we) (?:\w+ ){{0,2}}?{_NOT}\b|(?:i|i'm|we|we're)\b[^.]{{0,30}} (?:and|so|but) (?:\w+ )?{_NOT}\b"
    r"|(?:i'm|i am|i was|we're|we are|we were) (?:\w+ ){0,2}?(?:unable|incapable|not (?:\w+ )?(?:able|allowed"
    r"|permitted|comfortable|capable|going|designed|programmed|authori[sz]ed|equipped|in a position)"
    r"|restricted|prohibited)\b|(?:i|we) (?:wasn't|weren't|haven't been) (?:\w+ )?able\b"
    r"|(?:i|we)(?:'ve|'m|'re)? [^.]{0,20}?(?:instructed|told|asked|trained|designed|programmed) not to\b"
    r"|(?:i|we) (?:\w+ ){0,3}?(?:decline|refuse)\b"
    r"|(?:i|we) (?:have no|lack the) (?:\w+ )?(?:way|ability|means|access|permission)\b"
    r"|(?:i'd|i would|we'd|we would) (?:prefer|rather) not\b|(?:i'm|i am) having trouble\b)"
)
_BE_DONE = (
    rf"(?:{_NOT}|can) be (?:\w+ )?(?:describ|process|load|fulfil|provid|complet|display|view|analy[sz]"
    r"|generat|open|access|given|done)"
)
_WHICH = r"(?: (?:you|that|which|of|itself)\b[^.]{0,40}?)?(?: \w+ly| therefore)?"
FULL = (
    rf"\b{_DENIED}[^.]{{0,60}}?{_OBJECT}",
    rf"^(?:it isn't possible|(?:it is |it's )?(?:not possible|impossible|unable|not able))\b[^.]{{0,20}}?"
    rf" to (?:{_TELL}|{_USE})[^.]{{0,60}}?\b(?:{_THING}|{_PEOPLE})\b",
    rf"^it (?:is|would be) (?:\w+ )?(?:inappropriate|appropriate|unethical|wrong) for me to {_TELL}",
    r"^(?:(?:the|this|that|your|no|requested|current|attached|uploaded|provided) )+"
    rf"{_THING}\b{_WHICH} {_BE_DONE}",
    rf"^(?:the|this|that|your) (?:\w+ )?{_THING}\b[^.]{{0,40}}?\b(?:violat|goes against|is against)\w*"
    r"[^.]{0,40}?\b(?:polic|guideline|rule|terms)",
    r"^(?:my|our) (?:\w+ )?(?:guidelines|policy|policies|programming|instructions|rules|training)\b"
    r"[^.]{0,30}?\b(?:prevent|prohibit|forbid|don't|do not|does not|doesn't)",
    r"^(?:it is |it's |that is |this is )against my ",
    rf"\bnot something (?:i|we) (?:can|could|may|am able to) (?:{_TELL}|{_USE})",
    rf"^(?:there\b[^.]{{0,30}}? |i (?:do not|don't|can't|cannot) see )?(?:no|an?|any) (?:\w+ )?"
    rf"{_THING}\b[^.]{{0,25}}?\b(?:provided|attached|uploaded|visible|available|to describe|i can|i could)\b",
    rf"^(?:the )?{_PICTURE} (?:was |is |has been |could )?"
    r"(?:not (?:be )?(?:found|provided|attached|uploaded|received)|missing|failed to load)\b",
    rf"^it (?:looks|seems|appears)\b[^.]{{0,40}}?\b{_PICTURE}\b[^.]{{0,30}}?"
    r"\b(?:attach|upload|load|provid|fail)",
    rf"^you (?:have not|haven't|did not|didn't) (?:\w+ )?(?:upload|attach|provid|shar|send|sent)\w*"
    rf"[^.]{{0,15}}?\b{_PICTURE}\b",
    r"(?:^|, )as an? (?:\w+ ){0,2}(?:ai|artificial intelligence|language model|virtual assistant)\b"
    r"[^.]{0,60}?(?:, ?|\b)(?:i|i'm|we|my)\b",
)
"""Sentences that name what they refuse."""

MERE = (
    r"(?:i'm|i am|we're|we are) (?:\w+ )?(?:sorry|afraid)\b(?!-)|so sorry,"
    r"|sorry[,.!]? (?:but|i|i'm|for|about)\b|(?:my |our )?apologies\b|(?:i|we) (?:\w+ )?apologi[sz]e\b"
    r"|unfortunately,? (?:i|we|it is not possible)\b"
    r"|(?:(?:could|can|would) you )?(?:please )?(?:provide|upload|attach|share|send) (?:\w+ )?"
    r"(?:the|an?|your|it)\b"
    rf"|(?:i|we) {_NOT}(?:[,.]| (?:\w+ )?(?:{_TELL}|{_USE}))|(?:i|we) (?:must|have to) decline\b"
    r"|[^.]{0,60}\b(?:content|safety) (?:filter|policy|policies)\b"
)
"""What an answer begins with that refuses; people write so too."""
BARE = rf"(?:(?:i|we) {_NOT}|(?:i'm|i am|we're|we are) (?:unable|not able))\b"
"""The same where no text was asked for at all."""
