"""Capitalised English words that name no entity, words of names, and words that begin a sentence."""

from thresher.operators.captions.language.words import word_set

BREEDS = {
    "dog": word_set(
        """
        labrador retriever shepherd husky dalmatian chihuahua corgi collie poodle pekingese shih tzu
        pomeranian shiba inu akita samoyed terrier rottweiler doberman pinscher beagle bulldog pug boxer
        dachshund greyhound whippet malamute mastiff newfoundland schnauzer spaniel setter pointer
        weimaraner vizsla malinois bichon frise lhasa apso papillon pitbull pit bull bullmastiff saluki
        basenji borzoi airedale westie schnoodle labradoodle goldendoodle cockapoo cavapoo cavalier hound
        bloodhound foxhound wolfhound deerhound ridgeback leonberger komondor puli kelpie cattledog
        sheepdog spitz keeshond chow sharpei shar pei cocker springer basset
        """
    ),
    "cat": word_set(
        """
        siamese ragdoll bengal birman sphynx burmese abyssinian manx tabby shorthair longhair savannah
        munchkin bobtail angora tonkinese devon cornish chartreux
        """
    ),
    "horse": word_set(
        """
        arabian shetland clydesdale appaloosa thoroughbred mustang lipizzaner friesian shire percheron
        hanoverian andalusian haflinger palomino pinto fjord
        """
    ),
    "cow": word_set("holstein angus hereford jersey guernsey highland zebu ayrshire charolais"),
}
"""Casefolded, by the label of a detector."""

COMMON = word_set("").union(*BREEDS.values()) | word_set(
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
    afghan afro alaskan alpine americana andean aramaic arctic atlantic baltic bangladeshi basque belgian
    breton cajun catalan celtic chilean cretan creole croat cuban cypriot czech doric emirati etruscan
    fijian filipina filipino finn flemish frisian gaelic german greenlandic guatemalan haitian hasidic
    hellenic honduran hopi icelandic inca inuit iraqi irishman islamist israeli ivorian jamaican javanese
    kazakh kenyan khmer korean kurdish kuwaiti latina latinx malay maori maya mayan moghul moor moroccan
    moravian mughal navajo nepali nepalese omani pacific pakistani palauan polynesian punjabi quechua
    qatari rican rwandan samoan sami saudi saxon serb sherpa sikh sinhala slavic slovak somali soviet
    sri lankan swahili swiss tamil telugu texan tongan tuscan uighur ugandan ukrainian urdu uzbek valencian
    viking welshman yemeni yoruba zulu zimbabwean puerto dominican algerian
    ac aed ag ansi api ar asap ascii asl atv av bmx bpm ceo cmyk cpr cpu crt ct dc dj dna dc dtp ecg eeg
    ekg er eu fm gmo gpu hdmi hepa hiv hvac icu id iot ip ir isbn iv jpg kg lan lcd lgbt lgbtq lp lpg mdf
    midi mma mp mpv mri mvp nft ngo oled pa pcb pe ph pin pos ppe pr psi pvc ram rc rfid rgb rip rom rpm
    rsvp rv sd sim sms sos spa spf ssd stem suvs swat tb tgv thc tnt tpu tvs uhd uhf uk upc url us usa vfx
    vga vhf vhs vin vr xl xs xxl xray zip wifi bluetooth ethernet internet lidar
    jesus moses allah krishna shiva ganesha vishnu guanyin zen tao yoga sufi
    orthodox protestant lutheran baptist methodist quaker amish mormon rabbi torah bible quran koran gospel
    sabbath advent lent epiphany pentecost hajj purim passover kwanzaa holi songkran obon juneteenth carnival
    noel xmas yule cupid satan lucifer neptune venus mars jupiter saturn mercury zeus apollo medusa
    milky galaxy
    steampunk cyberpunk minimalist minimalism modernist modernism brutalist brutalism futurist futurism
    rustic retro vintage abstract pointillist pointillism classical neoclassic tenebrism chiaroscuro sfumato
    trompe plein biedermeier shaker craftsman ionic corinthian tuscan
    palladian sudoku scrabble lego jenga tetris frisbee velcro jeep jacuzzi tupperware kleenex thermos
    xerox ziploc photoshop crocs rollerblade rollerblades vespa styrofoam plexiglas spandex lycra nylon
    teflon formica
    acacia monstera ficus hibiscus hydrangea bougainvillea jacaranda magnolia wisteria begonia dahlia
    fuchsia gardenia poinsettia eucalyptus philodendron dracaena sansevieria aloe monarch lily orchid
    koi triceratops tyrannosaurus rex stegosaurus velociraptor angora merino cashmere dungeness chardonnay
    merlot champagne bordeaux burgundy prosecco cheddar gouda brie parmesan mozzarella feta camembert
    roquefort dijon bolognese alfredo carbonara teriyaki sriracha tabasco martini margarita mojito
    bloody cosmopolitan daiquiri americano espresso latte cappuccino vitamin type size tai chi
    kung fu karate judo taekwondo capoeira
    """
)
"""Casefolded: languages, peoples, styles, faiths, breeds, days, abbreviations, things called after places."""

PHRASES = (
    r"caesar salads?|mason jars?|petri dish(?:es)?|bunsen burners?|edison (?:light )?bulbs?|"
    r"tesla coils?|morse (?:code|keys?)|mercator (?:maps?|projections?)|rubik['’]?s cubes?|ping[- ]pong|"
    r"swiss army(?= kni)|tiffany (?:style )?(?:lamps?|glass)|chesterfield sofas?|"
    r"windsor (?:chairs?|knots?)|oxford (?:shirts?|shoes?)|wellington boots?|stetson(?=-| hats?)|"
    r"stetson hats?|phillips(?:[- ]head)? screw\w*|allen (?:keys?|wrench(?:es)?)|molotov cocktails?|"
    r"moscow mules?|brussels sprouts?|yorkshire pudding|cobb salads?|waldorf salads?|chelsea boots?|"
    r"brazil nuts?|dutch ovens?|bowie kni\w+|stanley kni\w+|philly cheesesteaks?|buffalo wings?|"
    r"boston (?:ferns?|lettuce|cream)|new york(?:-style)? (?:cheesecakes?|strip)|london broil|"
    r"peking duck|beef wellington|eton mess|key lime|baked alaska|kobe beef|victoria sponge|"
    r"earl gr[ea]y|valentine['’]?s?(?: day)?|"
    r"(?:mother|father|patrick|president|april fool)['’]?s['’]? day|st\.? patrick['’]?s day|"
    r"(?:lunar |chinese )?new year(?:['’]?s)?(?: eve| day)?|fourth of july|4th of july|independence day|"
    r"labou?r day|memorial day|earth day|day of the dead|d[ií]a de (?:los )?muertos|mardi gras|"
    r"oktoberfest|black friday|mid[- ]century(?: modern)?|art (?:nouveau|deco)|arts and crafts|"
    r"louis(?=-style| x[iv]+)|mid-autumn(?: festival)?|spring festival|dragon boat|"
    r"christmas (?:eve|day|tree)|easter (?:bunny|egg|sunday)|virgin mary|last supper|hare krishna|"
    r"star of david|tree of life|union jack|stars and stripes|jolly roger|venn diagrams?|gantt charts?|"
    r"newton['’]?s cradle|galileo thermometers?|geiger counters?|van de graaff|jerusalem artichokes?|"
    r"bird of paradise|queen anne['’]?s lace|norfolk pines?|norway spruce|joshua trees?|"
    r"japanese maples?|douglas firs?|venus fly ?traps?|canada (?:goose|geese)|jack[- ]o['’-]*lanterns?|"
    r"teddy bears?|russell terriers?|great dane|saint bernard|st\.? bernard|cavalier king charles|"
    r"maine coon|scottish fold|russian blue|turkish (?:van|angora)|bernese mountain|rhodesian ridgeback|"
    r"great pyrenees|bengal (?:cats?|tigers?)|komodo dragons?|tasmanian devils?|guinea (?:pigs?|fowl)|"
    r"holstein cows?|jersey cows?|highland cows?|mr\.? right|t-rex|lazy susan|murphy beds?|"
    r"franklin stoves?|dobson\w* telescopes?|crescent wrench|capri (?:pants|sun)|"
    r"nehru (?:jackets?|collars?)|mao (?:suits?|collars?)|peter pan collars?|henley shirts?|fair isle|"
    r"harris tweed|prince of wales check|hawaiian shirts?|bermuda shorts|panama hats?|"
    r"santa (?:hats?|suits?|claus)|doc martens?|mary janes?|trojan horses?|noah['’]?s ark|christ child|"
    r"adam and eve|garden of eden|big dipper|milky way|northern lights|aurora borealis"
)
"""Things called after names, as the pattern of an alternation; in them, capitals name nothing."""

GIVEN = word_set(
    """
    adrian brian christian damian dorian fabian gillian ian jillian julian kardashian lillian marian
    octavian sebastian titian vivian hadrian cassian guardian sean dean jean mclean ocean reese farnese
    genovese trish parish bean
    """
)
"""Casefolded: names that end as adjectives of peoples do."""

KNOWN = word_set(
    """
    tokyo paris london beijing shanghai moscow berlin rome madrid vienna sydney dubai istanbul bangkok
    singapore seoul venice florence barcelona amsterdam prague budapest lisbon athens cairo chicago boston
    seattle toronto vancouver melbourne mumbai delhi kyoto osaka hong-kong manhattan hollywood brooklyn
    japan france germany italy spain greece egypt russia brazil mexico canada australia america england
    scotland ireland thailand vietnam nepal iceland norway switzerland africa europe asia obama trump biden
    putin messi ronaldo beyonce einstein picasso shakespeare disney google microsoft facebook starbucks
    """
)
"""Casefolded: names so well known that they are names also where they begin a sentence."""

BRANDS = word_set(
    "nike adidas gucci prada chanel rolex toyota honda bmw ferrari lamborghini porsche pepsi coca-cola "
    "starbucks mcdonald's ikea samsung huawei xiaomi sony nintendo netflix youtube instagram tiktok"
)
"""Names of makers that are no other words, for texts without capitals."""

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

ORDINARY = word_set(
    """
    a an the apple amazon shell target gap dove tide visa orange windows word subway dominos bell clock
    tower bridge wall gate house hall palace castle temple church cathedral chapel abbey mosque shrine
    pagoda museum gallery opera theatre theater square street avenue road lane park garden gardens zoo
    lake river sea ocean bay beach coast island islands isle mount mountain mountains hill valley canyon
    falls fall waterfall forest wood woods desert rock stone cave canal port harbor harbour dam airport
    station terminal stadium arena center centre university college school library hospital hotel bank
    building plaza market mall store shop cafe restaurant bar city town village county state states
    kingdom country world empire union republic statue sculpture fountain monument memorial column arch
    gateway fort fortress wheel tree flower rose lion tiger bear eagle bull horse dragon phoenix snow
    great grand big small little long high low upper lower old new red blue green yellow black white
    grey gray silver golden purple pink brown dark bright royal imperial national central public free
    holy sacred summer winter spring autumn night day morning evening sun moon star stars light lights
    fire water earth wind sky cloud rain space time times liberty freedom peace love life dream hope
    victory justice independence unity king queen prince princess lord lady sir saint st president
    emperor general captain doctor dr mr mrs ms man woman men women boy girl boys girls child children
    person people baby mother father brother sister son daughter last first second third one two three
    four five six seven eight nine ten hundred thousand supper kiss scream dance dancer girl with pearl
    earring starry self portrait picture painting book film movie game story tale song music art works
    machine engine ship boat train car cars bus truck plane air land sand ice glass iron steel gold
    diamond crystal paper cup company group team club united friends food foods coffee tea juice cola
    burger pizza chicken beef cake bread milk wine beer super mega ultra pro max mini air plus warrior
    army soldier soldiers knight terracotta clay bronze marble forbidden hidden lost open heavenly
    drum triumph pearl oriental spider bat iron mickey's mouse cat dog duck bird fish rabbit pig monkey
    panda toy angel god goddess buddha hello kitty's happy meal mask cross ring stand field fields
    court tide pool plain bush young brown may mark bill will grant rich frank grace joy hunter
    """
)
"""Casefolded: words of names that by themselves name nothing, so that no short form is made of them."""

PLACES_ZH = word_set(
    """
    万里 中国 中华 北京 上海 天津 重庆 杭州 苏州 南京 西安 成都 广州 深圳 武汉 桂林 洛阳 大理 丽江 拉萨 西藏
    新疆 云南 四川 浙江 江苏 安徽 福建 山东 山西 陕西 河南 河北 湖南 湖北 广东 广西 海南 贵州 甘肃 青海
    黑龙江 吉林 辽宁 内蒙古 香港 澳门 台湾 台北 日本 东京 京都 大阪 奈良 韩国 首尔 泰国 曼谷 印度 新加坡
    英国 伦敦 法国 巴黎 德国 柏林 意大利 罗马 威尼斯 佛罗伦萨 比萨 西班牙 巴塞罗那 马德里 俄罗斯 莫斯科
    美国 纽约 旧金山 洛杉矶 芝加哥 华盛顿 加拿大 多伦多 澳大利亚 悉尼 埃及 开罗 希腊 雅典 土耳其 迪拜
    巴西 里约
    """
)
"""What stands before the name proper, as in 杭州西湖."""

TYPES_ZH = word_set(
    """
    塔 铁塔 宝塔 佛塔 高塔 石塔 电视塔 桥 大桥 石桥 铁桥 吊桥 拱桥 古桥 铁路桥 寺 寺庙 古寺 庙 祠 宫
    宫殿 皇宫 殿
    大殿 教堂 大教堂 清真寺 博物馆 美术馆 图书馆 体育馆 体育场 展览馆 纪念馆 纪念碑 歌剧院 大剧院 剧院
    广场 公园
    花园 动物园 植物园 游乐园 湖 江 河 海 山 峰 雪山 火山 岛 群岛 半岛 峡谷 大峡谷 瀑布 大瀑布 森林 沙漠 草原
    沙滩 海滩 海湾 港 港口 机场 火车站 车站 地铁站 站 大学 中学 小学 学校 医院 酒店 饭店 大酒店 银行 大厦 大楼
    中心 商场 市场 超市 街 大街 路 大道 胡同 古镇 古城 老城 城堡 城墙 城 像 雕像 塑像 铜像 石像 女神像
    大佛 佛像
    门 大门 城门 楼 钟楼 鼓楼 门楼 高楼 摩天轮 摩天大楼 喷泉 牌坊 石窟 遗址 陵 陵墓 墓 公司 集团 大使馆
    水库 大坝
    """
)
"""Nouns at the end of Chinese names, which by themselves name nothing."""

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
    "statue": ("statue", "雕像"), "sculpture": ("sculpture", "雕塑"), "monument": ("monument", "纪念碑"),
    "castle": ("castle", "城堡"), "palace": ("palace", "宫殿"), "cathedral": ("cathedral", "大教堂"),
    "mosque": ("mosque", "清真寺"), "shrine": ("shrine", "神社"), "square": ("square", "广场"),
    "stadium": ("stadium", "体育场"), "station": ("station", "车站"), "airport": ("airport", "机场"),
    "hotel": ("hotel", "酒店"), "restaurant": ("restaurant", "餐厅"), "shop": ("shop", "商店"),
    "store": ("shop", "商店"), "school": ("school", "学校"), "university": ("university", "大学"),
    "hospital": ("hospital", "医院"), "theatre": ("theatre", "剧院"), "theater": ("theatre", "剧院"),
    "library": ("library", "图书馆"), "garden": ("garden", "花园"), "beach": ("beach", "海滩"),
    "waterfall": ("waterfall", "瀑布"), "forest": ("forest", "森林"), "desert": ("desert", "沙漠"),
    "sea": ("sea", "海"), "ocean": ("ocean", "海洋"), "valley": ("valley", "山谷"),
    "wall": ("wall", "城墙"), "gate": ("gate", "大门"), "skyscraper": ("skyscraper", "摩天大楼"),
    "clock tower": ("clock tower", "钟楼"), "fountain": ("fountain", "喷泉"), "town": ("town", "城镇"),
    "village": ("village", "村庄"), "region": ("region", "地区"), "location": ("place", "地方"),
    "actor": ("actor", "演员"), "singer": ("singer", "歌手"), "artist": ("artist", "艺术家"),
    "athlete": ("athlete", "运动员"), "player": ("player", "球员"), "politician": ("politician", "政治人物"),
    "band": ("band", "乐队"), "celebrity": ("person", "人物"), "car": ("car", "汽车"),
    "ship": ("ship", "船"), "aircraft": ("aircraft", "飞机"), "train": ("train", "列车"),
    "phone": ("phone", "手机"), "drink": ("drink", "饮料"), "toy": ("toy", "玩具"),
    "song": ("song", "歌曲"), "album": ("album", "专辑"), "magazine": ("magazine", "杂志"),
    "newspaper": ("newspaper", "报纸"), "festival": ("festival", "节日"), "software": ("software", "软件"),
    "website": ("website", "网站"), "app": ("app", "应用"), "institution": ("institution", "机构"),
    "club": ("club", "俱乐部"), "religion": ("religion", "宗教"), "deity": ("deity", "神像"),
}  # fmt: skip
"""Type of an entity -> what it is called where its name may not stand, en and zh."""
