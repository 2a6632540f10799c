"""Traditional Chinese read with lexicons of simplified Chinese."""

_TRADITIONAL = (
    "丟並亂佈併來倆個們側傢傳傷僅億儘內兩凍別則剋動協叢喚喫單噴嚮嚴圖團塊壯壺夢實寫對層屬歲帶幫幾廳張復憤戶揮擁擬"
    "攝數斷時條棟棲極樓標樣樹橫檯歲氣沒淚溼滿潔濕為烏無燈燒營爲牀獅現畫畵疊皺盃盞盡盤眞確磚種稱竪箇節簡籃紅紙級結"
    "絕給絲綉綑綠綢綫維網緋線縱縷繡繪繼續羣義聯肅膠臺與舊萬藍藝處號裏裡製複見規視覺觀訝註話該認說説談讀讓讚豎豬貓質"
    "賽躍軍輕輛輪辦這連週過達遠遺還邊釐針銀銅銹鋼錄鍋鍾鏽鐘鐵門閉開間關階隻雙難頁頂頓頭顆題顏顯飛馬駝騎驚驢體鮮鯨鳥"
    "麗麵黃點齣龐著參陸貳錢圓盪車燭鏡鑼"
)
_SIMPLIFIED = (
    "丢并乱布并来俩个们侧家传伤仅亿尽内两冻别则克动协丛唤吃单喷向严图团块壮壶梦实写对层属岁带帮几厅张复愤户挥拥拟"
    "摄数断时条栋栖极楼标样树横台岁气没泪湿满洁湿为乌无灯烧营为床狮现画画叠皱杯盏尽盘真确砖种称竖个节简篮红纸级结"
    "绝给丝绣捆绿绸线维网绯线纵缕绣绘继续群义联肃胶台与旧万蓝艺处号里里制复见规视觉观讶注话该认说说谈读让赞竖猪猫质"
    "赛跃军轻辆轮办这连周过达远遗还边厘针银铜锈钢录锅钟锈钟铁门闭开间关阶只双难页顶顿头颗题颜显飞马驼骑惊驴体鲜鲸鸟"
    "丽面黄点出庞着参陆贰钱圆荡车烛镜锣"
)
_TABLE = str.maketrans(_TRADITIONAL, _SIMPLIFIED)
"""Signs of our lexicons, numbers, measures and colours (from the tables of OpenCC, Apache-2.0)."""


def simplified(text: str) -> str:
    """The text with those signs simplified; of the same length, so that places hold."""
    return text.translate(_TABLE)
