"""What stands on the pages of the corpus: headings, short entries and sentences of letters, invoices and labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Phrases:
    """The material of one kind of page. Entries are lines of their own; sentences are set as paragraphs."""

    headings: Sequence[str]
    entries: Sequence[str]
    sentences: Sequence[str]


ENGLISH = Phrases(
    headings=(
        "Delivery note",
        "Terms of payment",
        "Notice to all tenants",
        "Minutes of the meeting",
        "Repair report",
        "Warranty conditions",
        "Travel expenses",
        "Order confirmation",
    ),
    entries=(
        "Invoice number: 2024-08173",
        "Date of issue: 17 March 2024",
        "Total amount due: USD 1,284.50",
        "Customer number 40 557 129",
        "14 Harbour Street, Bristol BS1 4QD",
        "Phone: +44 117 496 0532",
        "Gross weight: 23.75 kg",
        "Quantity: 36 boxes of 12",
        "Tax rate: 19%, net 1,079.41",
        "Batch 7C-290, best before 05/2027",
        "Please quote reference HB/3386.",
        "Opening hours: 9:00 to 17:30",
    ),
    sentences=(
        "Thank you for your order, which we received on Monday and will ship within three working days.",
        "Please check the parcel when it arrives and report any visible damage to the driver at once.",
        "The goods remain our property until they have been paid in full.",
        "Payment is due within 30 days of the date of this invoice, without any deduction.",
        "The lift in the east wing will be out of service from 8 to 12 April while its cables are replaced.",
        "We would like to remind you that bicycles must not be left in the stairwell.",
        "The committee approved the budget of 48,600 for the new heating system by nine votes to two.",
        "After the test run the pressure fell slowly from 6.4 to 5.9 bar, so the valve was changed again.",
        "The warranty does not cover wear, misuse, or repairs made by persons without our permission.",
        "Store in a cool and dry place, and keep the container closed when it is not in use.",
        "Train tickets and hotel bills must be handed in with the form before the end of the month.",
        "The library lends up to ten books for four weeks, and each loan can be extended twice.",
        "Our engineer found a worn bearing in the second pump and replaced it during the visit.",
        "Water quality was measured at seven points along the river between May and September.",
        "If you have questions about this letter, call our office and give the number shown above.",
        "The old mill was built in 1827 and ground wheat for the villages of the valley until 1954.",
        "Guests are kindly asked to leave their rooms by eleven and to return both keys at the desk.",
        "Half of the samples were kept at 4 degrees and the other half at room temperature.",
    ),
)

CHINESE = Phrases(
    headings=(
        "产品保修说明",
        "会议通知",
        "租赁合同",
        "送货单",
        "费用报销须知",
        "小区停水公告",
        "设备检修记录",
        "图书馆借阅规则",
    ),
    entries=(
        "收件人：王晓明",
        "联系电话：010-82654471",
        "发票号码：03867215",
        "开票日期：2024年3月17日",
        "合计金额：1284.50元",
        "地址：杭州市西湖区文三路128号",
        "规格：500克×24瓶",
        "生产日期：2023年11月6日",
        "保质期：18个月",
        "合同编号：HT2024-0356",
        "办公时间：9:00至17:30",
        "净重：23.75千克",
    ),
    sentences=(
        "感谢您购买本公司的产品，请在使用前仔细阅读说明书，并妥善保管以备日后查阅。",
        "本产品自购买之日起享受一年免费保修服务，人为损坏和自行拆修的情况除外。",
        "因管道检修，小区将于4月8日上午九点至下午五点停水，请各位住户提前做好准备。",
        "会议定于下周三下午两点在三楼第二会议室召开，请各部门负责人准时参加。",
        "出差人员应在返回后七天之内提交车票和住宿发票，逾期不再办理报销手续。",
        "甲方应按照合同约定的时间向乙方支付租金，每月的租金为3200元。",
        "货物送达以后，请当面清点数量，如发现包装破损，请立即与送货人员联系。",
        "检查发现二号水泵的轴承磨损严重，已经更换新的零件，试运行结果正常。",
        "读者每次最多可以借阅十本图书，借期为四个星期，到期之前可以续借两次。",
        "请将本品存放在阴凉干燥的地方，避免阳光直接照射，开封后请尽快食用。",
        "根据测量结果，今年夏季河水的平均温度比去年同期高出1.6度。",
        "委员会以九票赞成、两票反对的结果通过了新的供暖改造方案，预算为48600元。",
        "这座石桥建于清代，全长六十八米，至今仍然是村民过河的主要通道。",
        "乘客请注意，本次列车的终点站由北京西站改为丰台站，发车时间不变。",
        "为了保证施工安全，进入现场的人员必须佩戴安全帽，并且服从管理人员的安排。",
        "学校图书馆新到一批科学读物，欢迎同学们在课后前来阅览。",
        "如果对账单内容有疑问，请在收到通知后十个工作日内拨打客服电话进行核对。",
        "参加培训的员工需要填写登记表，并于本月25日以前交给人事部门。",
    ),
)

MIXED = Phrases(
    headings=(
        "Invoice 发票",
        "装箱单 Packing list",
        "Notice 通知",
        "检测报告 Test report",
        "订单确认 Order",
        "Room service 客房服务",
        "Safety 安全须知",
        "签证申请 Visa form",
    ),
    entries=(
        "Order No. 订单号：SO-20240817",
        "收货人 Consignee: Li Hua",
        "Total 合计：USD 1,284.50",
        "电话 Tel: +86 571 8796 3402",
        "Flight 航班：CA1502",
        "Room 房间号：1206",
        "型号 Model: KX-350",
        "Date 日期：2024-03-17",
        "重量 Weight: 23.75 kg",
        "Email 邮箱：service@example.com",
        "Batch 批号：7C290",
        "单价 Price: 36.80",
    ),
    sentences=(
        "请使用 Chrome 浏览器打开网页，登录之后选择 Download 按钮下载报告。",
        "The price includes 13% 增值税，运费由买方承担，付款方式为 T/T 电汇。",
        "本机支持 Wi-Fi 和 USB 两种连接方式，电源电压为 220 V，功率为 45 W。",
        "Please present 您的护照 at the front desk，退房时间为中午 12:00 以前。",
        "样品在 25 度下放置 48 小时，pH 值由 6.8 下降到 6.2，符合 GB 2762 的要求。",
        "Your order 已经由 Express 快递公司发出，预计三个工作日内送达。",
        "会议由 Maria Schmidt 主持，主要讨论 Budget 2025 和新产品的上市时间。",
        "如有问题请发送邮件到 help@example.org，我们会在 24 小时内回复。",
        "The machine must be 断电以后 before cleaning，请勿用水直接冲洗。",
        "本次航班 MU583 的登机口改为 Gate 27，请旅客留意广播通知。",
        "软件 Version 3.10 修复了打印错误，并增加了 PDF 导出功能。",
        "All parts 均为原装进口，保修期 two years，自签收之日起计算。",
        "请在 Name 一栏填写姓名，在 Date 一栏填写日期，并在右下角签字。",
        "The total of 36 箱货物 was loaded on 5 May，目的港为 Hamburg。",
        "测试共使用 7 台 Server，平均响应时间为 85 ms，没有发现 Error。",
        "Dear 李先生, 您预订的 Standard room 已确认，共两晚，含早餐。",
    ),
)

LANGUAGES: Mapping[str, Phrases] = {"english": ENGLISH, "chinese": CHINESE, "mixed": MIXED}
