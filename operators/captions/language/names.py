"""Capitalised English words that name no entity, and words that begin a sentence."""

from thresher.operators.captions.language.words import word_set

COMMON = word_set(
    """
    i i'm i'd ok tv cctv led lcd usb suv atm dj diy dna vip ufo uv rgb hdr cgi 2d 3d 4k 8k hd dslr iso
    exif gps qr ai pc cd dvd pdf jpeg png gif mr mrs ms dr am pm ad bc bce ce bbq id ids url u monday
    tuesday wednesday thursday friday saturday sunday january february march april may june july august
    september october november december christmas easter halloween thanksgiving ramadan diwali hanukkah
    eid english chinese mandarin cantonese japanese korean french german spanish italian portuguese
    russian arabic hebrew hindi greek latin thai vietnamese turkish dutch polish swedish danish
    norwegian finnish indian british american african asian european mexican brazilian egyptian persian
    roman tibetan mongolian scandinavian nordic mediterranean cyrillic hangul kanji hiragana katakana
    devanagari han western eastern oriental gothic baroque rococo renaissance romanesque byzantine
    victorian edwardian georgian tudor colonial medieval neoclassical art deco nouveau bauhaus
    impressionist impressionism expressionist cubist cubism surrealist surrealism realist fauvist
    dadaist pop anime manga chibi kawaii polaroid buddhist buddha hindu christian christ catholic
    islamic muslim jewish taoist daoist shinto confucian god virgin labrador retriever golden german
    shepherd husky siberian dalmatian chihuahua corgi welsh border collie poodle pekingese shih tzu
    pomeranian shiba inu akita samoyed bernese yorkshire terrier jack russell siamese maine coon ragdoll
    holstein angus arabian shetland wi fi ktv ukiyo raphaelite neo earth moon sun north south east west
    northern southern santa claus caucasian hispanic latino jeans bermuda panama hawaiian adirondack
    ferris
    """
)
"""Casefolded: languages, peoples, styles, faiths, breeds, days, abbreviations, things called after places."""

OPENERS = word_set(
    """
    a an the this that these those its his her their our my your some any all both each every either
    neither no another other several many few most in on at by to from of with without within into onto
    over under above below behind beside besides between beyond before after during near around across
    along against among amid atop through throughout toward towards inside outside off up down for as
    like about and but or nor so yet while when where there here if although though because since until
    once it he she they we you who what which one two three four five six seven eight nine ten eleven
    twelve not only also then next further farther overhead nearby meanwhile finally
    """
)
"""Casefolded: a sentence may begin with them, and no name does."""

PARTICLES = word_set(
    """
    of the de la le du des da do di del van von der den al el y e and bin ibn
    """
)
"""Small words inside a name, such as in `Statue of Liberty`."""

TYPES: dict[str, tuple[str, str]] = {
    "landmark": ("landmark", "地标"), "place": ("place", "地方"), "city": ("city", "城市"),
    "country": ("country", "国家"), "building": ("building", "建筑"), "street": ("street", "街道"),
    "person": ("person", "人物"), "people": ("person", "人物"), "character": ("character", "角色"),
    "brand": ("brand", "品牌"), "logo": ("logo", "标志"), "organisation": ("organisation", "机构"),
    "organization": ("organization", "机构"), "company": ("company", "公司"), "team": ("team", "队伍"),
    "artwork": ("artwork", "艺术作品"), "painting": ("painting", "画作"), "book": ("book", "书"),
    "film": ("film", "影片"), "movie": ("film", "影片"), "game": ("game", "游戏"),
    "product": ("product", "产品"), "vehicle": ("vehicle", "车辆"), "plant": ("plant", "植物"),
    "animal": ("animal", "动物"), "species": ("species", "物种"), "food": ("dish", "菜肴"),
    "dish": ("dish", "菜肴"), "event": ("event", "活动"), "work": ("work", "作品"),
    "pagoda": ("pagoda", "宝塔"), "tower": ("tower", "塔"), "bridge": ("bridge", "桥"),
    "temple": ("temple", "寺庙"), "church": ("church", "教堂"), "museum": ("museum", "博物馆"),
    "lake": ("lake", "湖"), "river": ("river", "河"), "mountain": ("mountain", "山"),
    "island": ("island", "岛"), "park": ("park", "公园"), "ip": ("character", "角色"),
}  # fmt: skip
"""Type of an entity -> what it is called where its name may not stand, en and zh."""
