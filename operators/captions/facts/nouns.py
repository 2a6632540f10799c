"""Things that detectors name: English plural, Chinese noun and measure word."""

from thresher.operators.captions.language.numbers import en_number, zh_number
from thresher.operators.captions.language.words import with_s
from thresher.operators.captions.taxonomy import Lang

_ZH = {
    "person": "个人", "man": "个男人", "woman": "个女人", "child": "个孩子", "boy": "个男孩",
    "girl": "个女孩", "face": "张脸", "bicycle": "辆自行车", "car": "辆汽车", "motorcycle": "辆摩托车",
    "airplane": "架飞机", "bus": "辆公交车", "train": "列火车", "truck": "辆卡车", "boat": "艘船",
    "traffic light": "个红绿灯", "fire hydrant": "个消防栓", "stop sign": "个停车标志",
    "parking meter": "个停车计时器", "bench": "张长椅", "bird": "只鸟", "cat": "只猫", "dog": "只狗",
    "horse": "匹马", "sheep": "只羊", "cow": "头牛", "elephant": "头大象", "bear": "头熊",
    "zebra": "匹斑马", "giraffe": "头长颈鹿", "backpack": "个背包", "umbrella": "把雨伞",
    "handbag": "个手提包", "tie": "条领带", "suitcase": "个行李箱", "frisbee": "个飞盘",
    "snowboard": "块滑雪板", "sports ball": "个球", "kite": "只风筝", "baseball bat": "根棒球棒",
    "baseball glove": "只棒球手套", "skateboard": "块滑板", "surfboard": "块冲浪板",
    "tennis racket": "把网球拍", "bottle": "个瓶子", "wine glass": "个酒杯", "cup": "个杯子",
    "fork": "把叉子", "knife": "把刀", "spoon": "把勺子", "bowl": "个碗", "banana": "根香蕉",
    "apple": "个苹果", "sandwich": "个三明治", "orange": "个橙子", "carrot": "根胡萝卜",
    "hot dog": "个热狗", "pizza": "个披萨", "donut": "个甜甜圈", "cake": "个蛋糕", "chair": "把椅子",
    "couch": "张沙发", "potted plant": "盆盆栽", "bed": "张床", "dining table": "张餐桌", "table": "张桌子",
    "toilet": "个马桶", "tv": "台电视", "laptop": "台笔记本电脑", "mouse": "个鼠标", "keyboard": "个键盘",
    "cell phone": "部手机", "microwave": "台微波炉", "oven": "台烤箱", "toaster": "台烤面包机",
    "sink": "个水槽", "refrigerator": "台冰箱", "book": "本书", "clock": "个时钟", "vase": "个花瓶",
    "scissors": "把剪刀", "teddy bear": "个玩具熊", "hair drier": "个吹风机", "toothbrush": "支牙刷",
    "tree": "棵树", "flower": "朵花", "house": "座房子", "building": "座建筑", "flag": "面旗",
    "rocket": "枚火箭", "coin": "枚硬币", "hat": "顶帽子",
}  # fmt: skip
"""The labels of COCO, and a few more."""
_PLURALS = {
    "person": "people", "man": "men", "woman": "women", "child": "children", "sheep": "sheep",
    "mouse": "mice", "knife": "knives", "scissors": "scissors", "fish": "fish", "leaf": "leaves",
    "wolf": "wolves", "loaf": "loaves", "calf": "calves", "half": "halves", "shelf": "shelves",
    "scarf": "scarves", "wife": "wives", "thief": "thieves", "goose": "geese", "foot": "feet",
    "tooth": "teeth", "ox": "oxen", "deer": "deer", "moose": "moose", "bison": "bison",
    "aircraft": "aircraft", "salmon": "salmon", "shrimp": "shrimp", "swine": "swine", "cattle": "cattle",
    "police": "police", "people": "people", "glasses": "glasses", "shears": "shears", "skis": "skis",
    "potato": "potatoes", "tomato": "tomatoes", "mango": "mangoes", "buffalo": "buffaloes",
    "hero": "heroes", "cactus": "cacti", "louse": "lice", "policeman": "policemen",
    "fireman": "firemen", "snowman": "snowmen", "gentleman": "gentlemen", "fisherman": "fishermen",
}  # fmt: skip


def counted(count: int, label: str, lang: Lang) -> str:
    """`two cups` or `两个杯子`; words up to ten. A label without a Chinese word stays English there."""
    if lang == "zh":
        return zh_number(count) + _ZH.get(label, f"个{label}")
    return f"{en_number(count)} {label if count == 1 else plural(label)}"


def plural(label: str) -> str:
    """Of the last word of a label."""
    first, blank, last = label.rpartition(" ")
    return first + blank + (_PLURALS.get(last) or with_s(last))


def chinese(label: str) -> str:
    """Its Chinese noun without the measure word, or nothing."""
    return _ZH.get(label, "")[1:]
