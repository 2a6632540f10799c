"""How models refuse, in English and Chinese."""

import regex

REFUSAL = regex.compile(
    r"(?i)^[\s\"'“*#>-]*(?:"
    r"(?:i['’]?m |i am |we['’]?re |so )?(?:very |really |truly )?sorry\b"
    r"(?![ -](?:\w+ )?(?:looking|sight|state))"
    r"|(?:i |we )?apologi[sz]e\b|my apologies\b|unfortunately,? (?:i|we|it is not possible)\b"
    r"|as an? (?:ai|artificial intelligence|language model|large language|virtual assistant)\b"
    r"|(?:i|we) (?:can['’]?t|cannot|can not|am not able|won['’]?t|do not|don['’]?t"
    r"|could not|couldn['’]?t|must decline|have to decline)\b|(?:i am|i['’]m|we are|we['’]re) unable\b"
    r"|(?:there is |there's )?no image (?:was |is |has been )?(?:provided|attached|visible|to describe)"
    r"|please (?:provide|upload|attach|share)\b"
    r"|(?:非常|很|十分|真的)?(?:抱歉|对不起)|不好意思|(?:我|本模型|作为.{0,6})?(?:无法|不能|没办法|没法)"
    r"(?:为您|为你|帮您|帮你|提供|描述|识别|查看|看到|回答|协助|满足|处理|生成|直接|继续|辨认|确定)"
    r"|作为(?:一个|一名|一款)?(?:人工智能|ai|语言模型|大模型|虚拟助手)|请(?:提供|上传)|很遗憾"
    r")"
)
"""What a text begins with that refuses."""
UNABLE = regex.compile(r"^[\s\"'*]*我(?:无法|不能)")
"""The same in place of an object that was asked for; a text that came with a file may begin so."""
